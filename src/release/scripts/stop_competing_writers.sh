
# Whether docker-compose brings a project up, or something that this tool runs in its place.
composes() {
  # shellcheck disable=SC2013 # paths without spaces
  for words in $(grep -lFxz -e --project-name /proc/[0-9]*/cmdline 2>/dev/null); do
    if grep -qFxz -e "$1" "$words" 2>/dev/null && grep -qFxz -e up "$words" 2>/dev/null; then return; fi
  done
  return 1
}

# Ends what else works on the containers of a project.
stop_competing_writers() {
  # A docker-compose whose connection was lost goes on by itself: it is waited for.
  waited=0
  while composes "$1" && [ "$waited" -lt 60 ]; do
    waited=$((waited + 1))
    sleep 1
  done
  # A docker-compose that systemd has started follows the containers, ends when they do, and then stops whatever the project has by
  # that time. The containers run on without it.
  systemctl --user list-units --plain --no-legend --no-pager 'oem-dc@*.service' 2>/dev/null | while read -r unit _ active _; do
    case $active in active | activating | deactivating | reloading) ;; *) continue ;; esac
    directory=$(systemctl --user show --property WorkingDirectory --value "$unit")
    if [ "${directory##*/}" != "$1" ] && [ "$(readlink -f -- "$directory")" != "${2%/*}" ] && [ "$(readlink -f -- "$directory/docker-compose.yml")" != "$2" ]; then continue; fi
    place=$XDG_RUNTIME_DIR/systemd/user/$unit.d
    mkdir -p -- "$place" || exit
    printf '[Service]\nExecStop=\nKillSignal=SIGKILL\nSuccessExitStatus=SIGKILL\n' >"$place/o3r-deploy.conf" || exit
    systemctl --user daemon-reload && systemctl --user stop "$unit"
    status=$?
    rm -f -- "$place/o3r-deploy.conf"
    rmdir -- "$place" 2>/dev/null
    systemctl --user daemon-reload
    if [ "$status" -ne 0 ]; then exit "$status"; fi
  done || return
  put_names_right "$1"
}

# Gives the containers of a project the names that they had before docker-compose was cut off in the middle of replacing them. It
# calls the old one (1.x) or the new one (2.x) by an ID and its name: the one that was to be replaced stays.
put_names_right() {
  docker container ls --all --no-trunc --filter "label=com.docker.compose.project=$1" --format '{{.ID}} {{.Names}}' |
    while read -r id interim; do
      case $interim in [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]_?*) ;; *) continue ;; esac
      name=${interim#*_}
      if [ "${interim%%_*}" = "$(printf %.12s "$id")" ]; then
        half=$(docker container ls --all --quiet --no-trunc --filter "label=com.docker.compose.project=$1" --filter "name=^/?$name\$")
        if [ -n "$half" ]; then docker container rm --force "$half" >/dev/null || exit; fi
        docker container rename "$id" "$name" || exit
      elif docker container inspect --format '{{.Id}}' "${interim%%_*}" >/dev/null 2>&1; then
        docker container rm --force "$id" >/dev/null || exit
      fi
    done
}
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
main "$@"
