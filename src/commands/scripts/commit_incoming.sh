# moves what arrived into its place
sync
xargs -0 -r sh -c '
name=$0
for directory do
  incoming=$directory/$name
  set --
  for file in "$incoming"/* "$incoming"/.[!.]* "$incoming"/..?*; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    set -- "$@" "$file"
    if [ $# -ge 500 ]; then mv -f -- "$@" "$directory/" || exit 255; set --; fi
  done
  if [ $# -gt 0 ]; then mv -f -- "$@" "$directory/" || exit 255; fi
  rmdir -- "$incoming" || exit 255
done' "$1" || exit 1
sync
