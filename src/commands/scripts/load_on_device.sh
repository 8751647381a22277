# loads an image archive that is on the device, unless its image is there
path=$1 name=$2
shift 2
refuse() { printf '%s\n' "$1" >&2; exit 1; }
if [ ! -f "$path" ]; then refuse "$path: no such file on the device"; fi
if manifest=$(tar -xOf "$path" manifest.json 2>/dev/null) || manifest=$(tar -xzOf "$path" manifest.json 2>/dev/null); then
  ids=$(printf '%s\n' "$manifest" | tr ',' '\n' | sed -n 's/.*"[Cc]onfig" *: *"\([^"]*[/:]\)\{0,1\}\([0-9a-f]\{64\}\).*/sha256:\2/p')
  # shellcheck disable=SC2086 # IDs are hexadecimal, and references have no spaces
  if [ -n "$ids" ] && docker image inspect --format "{{.Id}}" $ids >/dev/null 2>&1; then
    printf 'there already: %s\n' $ids
  else
    loaded=$(docker image load --quiet --input "$path") || exit
    printf '%s\n' "$loaded"
    [ -n "$ids" ] || ids=$(printf '%s\n' "$loaded" | sed -n 's/^Loaded image.*: //p')
    docker image inspect --format "{{.Id}}" $ids >/dev/null || exit
  fi
  if [ -n "$name" ]; then docker image tag "$(echo "$ids" | head -n 1)" "$name"; fi
elif tar -tf "$path" oci-layout >/dev/null 2>&1 || tar -tzf "$path" oci-layout >/dev/null 2>&1; then
  refuse "$path: an OCI archive, which the device's docker does not load"
else
  digest=$(sha256sum "$path") || exit
  digest=${digest%% *}
  label=o3r-deploy.archive=${digest#\\}
  ids=$(docker image ls --quiet --no-trunc --filter "label=$label") || exit
  id=$(echo "$ids" | head -n 1)
  if [ -n "$id" ]; then
    echo "there already: $id"
    if [ -n "$name" ]; then docker image tag "$id" "$name"; fi
  else
    # Each further word is one --change.
    for change do set -- "$@" --change "$change"; shift; done
    docker import "$@" --change "LABEL $label" "$path" ${name:+"$name"}
  fi
fi
