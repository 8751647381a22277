# disables a service
service=$1 project=$2
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
systemctl --user disable "oem-dc@$service.service" || exit
# A restart policy alone would bring the containers back as soon as docker runs.
ids=$(docker container ls --all --quiet --filter "label=com.docker.compose.project=$project") || exit
for id in $ids; do
  docker container update --restart no "$id" >/dev/null || exit
  [ "$(docker container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id")" = no ] || exit
done
sync
case $(systemctl --user is-enabled "oem-dc@$service.service" 2>/dev/null) in
  enabled*) echo "oem-dc@$service is still enabled" >&2; exit 1 ;;
esac
