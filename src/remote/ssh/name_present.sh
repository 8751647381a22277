# names the first of the files that is there
while IFS= read -r line; do
  path=$line
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  if [ -e "/$path" ]; then printf '%s\n' "$line"; exit 0; fi
done
