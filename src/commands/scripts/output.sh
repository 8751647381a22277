# prints a container's output between two times
docker container logs --tail 0 "$1" >/dev/null 2>&1 || exit 3
docker container logs --since "$2" ${3:+--until "$3"} "$1"
