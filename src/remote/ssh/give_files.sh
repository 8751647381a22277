# gives files as tar archives
# GNU's tar takes a backslash in a name for the start of an escape unless it is told not to; busybox's never does.
verbatim=
if tar --no-unquote --version >/dev/null 2>&1; then verbatim=--no-unquote; fi
worst=0
give() {
  tar -c -h $verbatim -f - -C / "$@" </dev/null
  status=$?
  if [ "$status" -gt "$worst" ]; then worst=$status; fi
}
# So many names at once that the command line of `tar` has room for them, however long they are.
set --
while IFS= read -r path; do
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  set -- "$@" "$path"
  if [ $# -ge 400 ]; then give "$@"; set --; fi
done
if [ $# -gt 0 ]; then give "$@"; fi
exit "$worst"
