# takes files in and moves them into their place
name=$1 what=$2
# Lines up to an empty one come first, each a word and a path, backslash and line break escaped: `fresh` and `kept` directories
# in which files arrive, `stale` files that an earlier run left there, `open` directories whose owner has to let himself write into
# them, and modes that directories get in the end.
head=$(while IFS= read -r line && [ -n "$line" ]; do printf '%s\n' "$line"; done)
each() {
  printf '%s\n' "$head" | while IFS= read -r line; do
    word=${line%% *} path=${line#* }
    # shellcheck disable=SC2254 # a pattern is meant
    case $word in $1) ;; *) continue ;; esac
    case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
    "$2" "$path" "$word" || exit
  done
}
fresh() { rm -rf -- "${1:?}/$name" && mkdir -- "$1/$name"; }
kept() {
  find "$1/$name" -depth -type d -exec rmdir -- {} + 2>/dev/null
  mkdir -p -- "$1/$name"
}
open() { chmod u+rwx -- "$1"; }
stale() { rm -f -- "$1"; }
settle() {
  directory=$1
  set --
  for file in "$directory/$name"/* "$directory/$name"/.[!.]* "$directory/$name"/..?*; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    set -- "$@" "$file"
    if [ $# -ge 100 ]; then mv -f -- "$@" "$directory/" || return; set --; fi
  done
  if [ $# -gt 0 ]; then mv -f -- "$@" "$directory/" || return; fi
  rmdir -- "$directory/$name"
}
mode() { chmod -- "$2" "$1"; }
flushed() { sync -f "$1" 2>/dev/null || sync; }

if [ "$what" != place ]; then
  each open open && each fresh fresh && each stale stale && each kept kept || exit
  # `-o`: as the user who unpacks, whom both GNU's tar and busybox's then take; `-p`: the mode exactly.
  tar -x -p -o -f - -C / || exit
fi
if [ "$what" != take ]; then
  each '[fk]*' flushed && each '[fk]*' settle && each '[0-7]*' mode && each '[fk]*' flushed
fi
