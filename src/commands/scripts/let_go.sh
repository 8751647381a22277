
# Whether docker-compose brings a project up, or something that this tool runs in its place.
composes() {
  # shellcheck disable=SC2013 # paths without spaces
  for words in $(grep -lFxz -e --project-name /proc/[0-9]*/cmdline 2>/dev/null); do
    if grep -qFxz -e "$1" "$words" 2>/dev/null && grep -qFxz -e up "$words" 2>/dev/null; then return; fi
  done
  return 1
}

# Ends what else works on the containers of a project.
let_go() {
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
  done
}
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
main "$@"
