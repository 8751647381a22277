# follows a container's output
container=$1 since=$2
driver=$(docker container inspect --format '{{.HostConfig.LogConfig.Type}}' "$container") || exit
# Not every engine reads back what it logs: then the journal has it, or else only attaching shows it, which without input and
# signals cannot touch the container.
if ! docker container logs --tail 0 "$container" >/dev/null 2>&1; then
  case $driver in journald) driver=journal ;; *) driver=none ;; esac
fi
exec 3<&0
case $driver in
  none) docker container attach --no-stdin --sig-proxy=false "$container" 3<&- & ;;
  journal)
    # The journal itself does not end with the container; the second is for what the container said last to get there.
    case $since in *[!0-9]*) since=$(date -d "$since" +%s 2>/dev/null) || since=0 ;; esac
    {
      journalctl --follow --no-tail --output cat --since "@$since" "CONTAINER_NAME=$container" &
      reader=$!
      trap 'kill "$reader"; exit 143' TERM
      docker container wait "$container" >/dev/null & wait $!
      sleep 1
      kill "$reader"
    } 3<&- & ;;
  *) docker container logs --follow --since "$since" "$container" 3<&- & ;;
esac
follower=$!
# When the deployer goes away, its end of standard input closes: the follower, which may never write again, ends with it. The
# watcher reads by itself and holds no output: a program that it had started would outlive it and keep the session open.
{ while read -r _; do :; done; kill "$follower"; } <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$follower"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
