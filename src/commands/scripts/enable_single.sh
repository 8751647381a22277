# has containers come back with docker
project=$1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
refuse() { printf '%s\n' "$1" >&2; exit 1; }
ids=$(docker container ls --all --quiet --filter "label=com.docker.compose.project=$project") || exit
[ -n "$ids" ] || refuse "project $project has no containers that could come back"
systemctl --user enable oem-dc-autostart.service || exit
for id in $ids; do
  case $(docker container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id") in
    always | unless-stopped) ;;
    *)
      docker container update --restart unless-stopped "$id" >/dev/null || exit
      [ "$(docker container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id")" = unless-stopped ] || exit ;;
  esac
done
sync
[ "$(systemctl --user is-enabled oem-dc-autostart.service)" = enabled ] || refuse "oem-dc-autostart is not enabled"
