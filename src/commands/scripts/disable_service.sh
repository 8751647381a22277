# disables a service
service=$1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
systemctl --user disable "oem-dc@$service.service" || exit
for id in $(docker container ls --all --quiet --filter "label=com.docker.compose.project=$service"); do
  docker container update --restart no "$id" >/dev/null || exit
done
sync
case $(systemctl --user is-enabled "oem-dc@$service.service" 2>/dev/null) in
  enabled*) echo "oem-dc@$service is still enabled" >&2; exit 1 ;;
esac
exit 0
