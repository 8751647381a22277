# removes the intermediate images of deliveries
tags=$(docker image ls --format '{{.Repository}}:{{.Tag}}' "$1") || exit
if [ -n "$tags" ]; then docker image rm $tags; fi
