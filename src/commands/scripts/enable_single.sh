# has containers come back with docker
project=$1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
systemctl --user enable oem-dc-autostart.service || exit
ids=$(docker container ls --all --quiet --filter "label=com.docker.compose.project=$project") || exit
for id in $ids; do
  case $(docker container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id") in
    always | unless-stopped) ;;
    *) docker container update --restart unless-stopped "$id" >/dev/null || exit ;;
  esac
done
sync
[ "$(systemctl --user is-enabled oem-dc-autostart.service)" = enabled ]
