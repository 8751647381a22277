# tells with which exit code a container ended last
container=$1
# Docker remembers its last events; those of this second are waited for.
now=$(date +%s)
docker events --since "$((now - 300))" --until "$((now + 1))" --filter "container=$container" --filter event=die \
  --format '{{index .Actor.Attributes "exitCode"}}' | tail -n 1
