# keeps containers from coming back
ids=$(docker container ls --all --quiet --filter "label=com.docker.compose.project=$1") || exit
# Without a project of that name it is a container.
# shellcheck disable=SC2086 # IDs are hexadecimal
if [ -n "$ids" ]; then set -- $ids; fi
for id do
  docker container update --restart no "$id" >/dev/null || exit
  [ "$(docker container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id")" = no ] || exit
done
sync
