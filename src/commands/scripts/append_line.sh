# appends a line to a file
directory=${1%/*}/
made=
if [ ! -d "$directory" ]; then
  mkdir -p -- "$directory" || exit
  made=yes
fi
# It may have been added on a connection that was lost before that was seen.
if [ -f "$1" ] && [ "$(sed -n '$p' "$1")" = "$2" ]; then exit 0; fi
# Whole or not at all: neither a full disk nor a power cut leaves half a line. The shell's own printf does not say what is wrong.
rm -f -- "$1.new"
if { [ ! -e "$1" ] || cp -p -- "$1" "$1.new"; } && env printf '%s\n' "$2" >> "$1.new" && sync && mv -f -- "$1.new" "$1"; then
  sync
  exit 0
fi
rm -f -- "$1.new"
if [ -n "$made" ]; then rmdir -- "$directory"; fi
exit 1
