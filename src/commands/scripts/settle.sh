# removes what a delivery needed on its way and prints the IDs of its images
tags=$(docker image ls --format '{{.Repository}}:{{.Tag}}' "$1") || exit
rm -rf "$2"
rmdir "${2%/*}" 2>/dev/null
# shellcheck disable=SC2086 # references have no spaces
if [ -n "$tags" ]; then docker image rm $tags >&2 || exit; fi
shift 2
docker image inspect --format '{{.Id}}' -- "$@"
