# takes a piece of a large file
file=$1 have=$2 from=$3 size=$4 mode=$5
umask 077
if [ "$have" -eq 0 ]; then rm -f -- "$file"
# A connection that was lost may have brought more, or bring more yet, since the file was looked at.
elif [ "$(stat -c %s -- "$file")" -ne "$have" ]; then
  printf '%s: it has changed since it was looked at\n' "$file" >&2
  exit 1
fi
# What lies between is a hole.
if [ "$from" -gt "$have" ]; then dd bs=1 "seek=$from" count=0 if=/dev/null of="$file" 2>/dev/null || exit; fi
# The disk writes while more arrives.
while sleep 1 && kill -0 $$; do sync -f "$file"; done >/dev/null 2>&1 </dev/null &
cat >> "$file"
status=$?
kill $! 2>/dev/null
if [ "$status" -ne 0 ]; then exit "$status"; fi
# A connection that is cut ends the input as the end of the file does.
if [ "$(stat -c %s -- "$file")" -ne "$size" ]; then
  printf '%s: its end did not arrive\n' "$file" >&2
  exit 1
fi
if [ -n "$mode" ]; then chmod -- "$mode" "$file"; fi
