# removes what a delivery needed on its way
tags=$(docker image ls --format '{{.Repository}}:{{.Tag}}' "$1") || exit
rm -rf "$2"
rmdir "${2%/*}" 2>/dev/null
containers=$(docker container ls --all --quiet --filter label=o3r-deploy.base) || exit
# shellcheck disable=SC2086 # IDs have no spaces
if [ -n "$containers" ]; then docker container rm --force --volumes $containers; fi
# shellcheck disable=SC2086 # references have no spaces
if [ -n "$tags" ]; then docker image rm $tags; fi
