# removes the intermediate images of deliveries
tags=$(docker image ls --format '{{.Repository}}:{{.Tag}}' "$1") || exit
for tag in $tags; do docker image rm "$tag" >/dev/null || exit; done
