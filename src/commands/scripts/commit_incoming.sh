# moves what arrived into its place
name=$1
sync
while IFS= read -r directory; do
  case $directory in *\\*) directory=$(printf '%b.' "$directory") directory=${directory%.} ;; esac
  set --
  for file in "$directory/$name"/* "$directory/$name"/.[!.]* "$directory/$name"/..?*; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    set -- "$@" "$file"
    if [ $# -ge 200 ]; then mv -f -- "$@" "$directory/" || exit; set --; fi
  done
  if [ $# -gt 0 ]; then mv -f -- "$@" "$directory/" || exit; fi
  rmdir -- "$directory/$name" || exit
done
sync
