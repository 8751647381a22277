# tells the digests of files, several joined
# For each line, of words quoted for a shell, a digest: of `whole` files, or of `part`s, each a length and a file. `$n` in them is
# a line break. First those of every other line from the second on, then of the others: both halves work at the same time.
main() {
  n='
'
  lines=$(gzip -dc) || exit
  set -f
  half 0 | { exec 3<&0 </dev/null; half 1; cat <&3; }
}
half() {
  IFS=$n
  at=0
  for line in $lines; do
    at=$((1 - at))
    if [ "$at" -eq "$1" ]; then continue; fi
    IFS=' '
    eval "set -- $1 $line"
    kind=$2
    if [ "$kind" = whole ]; then
      (shift 2; cat "$@")
    else
      (shift 2; while [ $# -gt 1 ]; do exactly "$1" <"$2"; shift 2; done)
    fi 2>/dev/null | sha256sum
  done
}
