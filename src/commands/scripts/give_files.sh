# gives files as tar archives
# GNU's tar takes a backslash in a name for the start of an escape unless it is told not to; busybox's never does.
verbatim=
if tar --no-unquote --version >/dev/null 2>&1; then verbatim=--no-unquote; fi
worst=0
give() {
  tar -c $verbatim -f - -C / "$@" </dev/null
  status=$?
  if [ "$status" -gt "$worst" ]; then worst=$status; fi
}
# So many names at once that the command line of `tar` has room for them, however long they are. `-h`: a link that is asked for
# stands for its file.
lines=$(cat)
newline='
'
set -f --
IFS=$newline
for path in $lines; do
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  # None looks like an option.
  case $path in */.) give "./$path"; continue ;; esac
  set -- "$@" "./$path"
  if [ $# -ge 200 ]; then give -h "$@"; set --; fi
done
if [ $# -gt 0 ]; then give -h "$@"; fi
exit "$worst"
