# loads an image archive that is on the device, unless its image is there
path=$1 name=$2
shift 2
if [ ! -f "$path" ]; then echo "$path: no such file on the device" >&2; exit 1; fi
if manifest=$(tar -xOf "$path" manifest.json 2>/dev/null) || manifest=$(tar -xzOf "$path" manifest.json 2>/dev/null); then
  id=$(printf '%s' "$manifest" | sed -n 's/.*"Config":"\(blobs\/sha256\/\)\{0,1\}\([0-9a-f]\{64\}\).*/\2/p')
  if [ -n "$id" ] && docker image inspect "sha256:$id" >/dev/null 2>&1; then
    echo "there already: sha256:$id"
  else
    loaded=$(docker image load --quiet --input "$path") || exit
    printf '%s\n' "$loaded"
    [ -n "$id" ] || id=$(printf '%s\n' "$loaded" | sed -n 's/^Loaded image.*: \(sha256:\)\{0,1\}//p' | head -n 1)
  fi
  if [ -n "$name" ]; then docker image tag "$id" "$name"; fi
else
  digest=$(sha256sum "$path") || exit
  digest=${digest%% *}
  label=o3r-deploy.archive=${digest#\\}
  id=$(docker image ls --quiet --no-trunc --filter "label=$label" | head -n 1)
  if [ -n "$id" ]; then
    echo "there already: $id"
    if [ -n "$name" ]; then docker image tag "$id" "$name"; fi
  else
    # Each further word is one --change.
    for change do set -- "$@" --change "$change"; shift; done
    docker import "$@" --change "LABEL $label" "$path" ${name:+"$name"}
  fi
fi
