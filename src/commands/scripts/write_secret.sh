# writes what only this user may read
umask 077
directory=${1%/*}
made=
if [ ! -d "$directory" ]; then
  mkdir -p -- "$directory" || exit
  made=yes
fi
if cat >"$1.new" && sync && mv -f -- "$1.new" "$1"; then exit 0; fi
rm -f -- "$1.new"
if [ -n "$made" ]; then rmdir -- "$directory"; fi
exit 1
