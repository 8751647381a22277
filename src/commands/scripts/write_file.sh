# writes a file
directory=${1%/*}/
made=
if [ ! -d "$directory" ]; then
  mkdir -p -- "$directory" || exit
  made=yes
fi
if env printf '%s' "$2" > "$1.new" && sync && mv -f -- "$1.new" "$1"; then exit 0; fi
rm -f -- "$1.new"
if [ -n "$made" ]; then rmdir -- "$directory"; fi
exit 1
