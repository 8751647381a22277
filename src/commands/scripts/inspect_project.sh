# describes the containers of a compose project
ids=$(docker container ls --all --quiet --no-trunc --filter "label=com.docker.compose.project=$1") || exit
# shellcheck disable=SC2086 # IDs are hexadecimal
if [ -n "$ids" ]; then docker container inspect --format "$2" $ids; fi
