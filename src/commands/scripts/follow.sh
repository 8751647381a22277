# follows a container's output
driver=$(docker container inspect --format '{{.HostConfig.LogConfig.Type}}' "$1") || exit
exec 3<&0
case $driver in
  json-file | local | journald) docker container logs --follow --since "$2" "$1" & ;;
  # Without a readable log only attaching shows output; without input and signals it cannot touch the container.
  *) docker container attach --no-stdin --sig-proxy=false "$1" & ;;
esac
follower=$!
# When the deployer goes away, its end of standard input closes: the follower, which may never write again, ends with it.
{ cat <&3 >/dev/null; kill "$follower" 2>/dev/null; } &
watcher=$!
wait "$follower"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
