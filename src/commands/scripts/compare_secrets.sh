# compares secrets with what is there
# For each line, a SHA-256 and a path: `same`, `other` or `none`. One that others may read is another.
while IFS= read -r line; do
  digest=${line%% *} path=${line#* }
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  if [ ! -e "$path" ]; then
    echo none
    continue
  fi
  is=
  if [ -f "$path" ] && [ "$(stat -L -c %a "$path")" = 600 ]; then is=$(sha256sum <"$path"); fi
  if [ "${is%% *}" = "$digest" ]; then echo same; else echo other; fi
done
