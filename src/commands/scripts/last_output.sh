# prints the last lines of a container's output
if output=$(docker container logs --tail "$2" "$1" 2>&1); then printf '%s\n' "$output"
else journalctl --no-pager --output cat --lines "$2" "CONTAINER_NAME=$1"
fi
