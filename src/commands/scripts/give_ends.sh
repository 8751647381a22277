# gives the ends of files
# For each line, a length and a path: how many bytes there are behind, those bytes, and a mark that shows that all came.
main() {
  mark=$1
  while IFS= read -r line; do
    from=${line%% *} path=${line#* }
    case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
    if size=$(stat -L -c %s "$path" 2>/dev/null) && [ "$size" -ge "$from" ]; then
      printf '%s\n' "$((size - from))"
      { skip "$from"; exactly "$((size - from))"; } <"$path"
      printf '%s\n' "$mark"
    else echo -
    fi
  done
}
