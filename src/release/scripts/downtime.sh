# tells how long each service did not run
project=$1 since=$2
# Docker remembers its last events; those of this second are waited for.
docker events --since "$since" --until "$(($(date +%s) + 1))" --filter type=container --filter event=die --filter event=start \
  --filter "label=com.docker.compose.project=$project" \
  --format '{{.TimeNano}} {{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}}'
