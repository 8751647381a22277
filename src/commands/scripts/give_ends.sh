# gives the ends of files
# For each line, a length and a path: how many bytes there are behind, those bytes, and a mark that shows that all came.
mark=$1
# Copies a number of bytes of standard input, or with `skip` passes them over. `head -c` is not everywhere; of a file dd reads whole
# blocks.
bytes() {
  if [ "$2" -ge 65536 ]; then step "$1" 65536 "$(($2 / 65536))"; fi
  if [ "$(($2 % 65536))" -gt 0 ]; then step "$1" "$(($2 % 65536))" 1; fi
}
step() {
  case $1 in
    copy) dd "bs=$2" "count=$3" 2>/dev/null ;;
    skip) dd "bs=$2" "skip=$3" count=0 2>/dev/null ;;
  esac
}
while IFS= read -r line; do
  from=${line%% *} path=${line#* }
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  if size=$(stat -L -c %s "$path" 2>/dev/null) && [ "$size" -ge "$from" ]; then
    printf '%s\n' "$((size - from))"
    { bytes skip "$from" && bytes copy "$((size - from))"; } <"$path"
    printf '%s\n' "$mark"
  else echo -
  fi
done
