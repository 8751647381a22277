# prints the last lines of a container's output
docker container logs --tail "$2" "$1" 2>&1 || journalctl --no-pager --output cat --lines "$2" "CONTAINER_NAME=$1"
