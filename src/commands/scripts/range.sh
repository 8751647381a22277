
# Skips so many bytes of standard input, which is a regular file. Not every `head` knows `-c`, and not every `dd` counts bytes.
skip() {
  if [ "$1" -ge 1048576 ]; then dd bs=1048576 "skip=$(($1 / 1048576))" count=0 2>/dev/null; fi
  if [ "$(($1 % 1048576))" -gt 0 ]; then dd bs=1 "skip=$(($1 % 1048576))" count=0 2>/dev/null; fi
}
# Passes so many bytes of standard input, which is a regular file, on.
exactly() {
  if [ "$1" -ge 1048576 ]; then dd bs=1048576 "count=$(($1 / 1048576))" 2>/dev/null; fi
  if [ "$(($1 % 1048576))" -gt 0 ]; then dd "bs=$(($1 % 1048576))" count=1 2>/dev/null; fi
}
main "$@"
