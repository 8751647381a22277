# removes the intermediate images of deliveries
tags=$(docker image ls --format '{{.Repository}}:{{.Tag}}' "$1") || exit
# shellcheck disable=SC2086 # references have no spaces
if [ -n "$tags" ]; then docker image rm $tags; fi
