# has systemd let go of the containers of an application that it has started
project=$1 file=$2
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
# Its docker-compose follows them and ends when they do, and then stops whatever the project has by that time.
systemctl --user list-units --plain --no-legend --no-pager 'oem-dc@*.service' 2>/dev/null | while read -r unit _ active _; do
  case $active in active | activating | deactivating | reloading) ;; *) continue ;; esac
  directory=$(systemctl --user show --property WorkingDirectory --value "$unit")
  if [ "${directory##*/}" != "$project" ] && [ "$(readlink -f -- "$directory/docker-compose.yml")" != "$file" ]; then continue; fi
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
