# writes what only this user may read, and has so many bytes
umask 077
directory=${1%/*}
made=
if [ ! -d "$directory" ]; then
  mkdir -p -- "$directory" || exit
  made=yes
fi
# A connection that is cut ends the input as its end does.
if cat >"$1.new" && [ "$(stat -c %s -- "$1.new")" -eq "$2" ] && sync && mv -f -- "$1.new" "$1"; then exit 0; fi
rm -f -- "$1.new"
if [ -n "$made" ]; then rmdir -- "$directory"; fi
exit 1
