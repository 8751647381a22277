# tells which containers of a compose project became unhealthy a short time ago
project=$1 seconds=$2
now=$(date +%s)
docker events --since "$((now - seconds))" --until "$now" --filter type=container --filter event=health_status \
  --filter "label=com.docker.compose.project=$project" --format '{{.Action}} {{.Actor.ID}}' |
  sed -n 's/^health_status: unhealthy //p'
