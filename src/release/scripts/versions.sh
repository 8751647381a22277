# tells of the versions that are kept
home=$1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
unescape() { case $1 in *\\*) text=$(printf '%b.' "$1") text=${text%.} ;; *) text=$1 ;; esac; }
if [ -f "$home/swap/state" ]; then
  echo swap
  cat "$home/swap/state"
elif [ -f "$home/previous/state" ]; then
  echo previous
  cat "$home/previous/state"
  # What there is now of all that going back replaces.
  find "$home/previous/files" \( -type f -o -type l \) | while IFS= read -r kept; do
    printf 'now keep %s\n' "$(printf '%s\n' "${kept#"$home/previous/files"}" | sed 's/\\/\\\\/g')"
  done
  sed -n 's/^new /now keep /p' "$home/previous/state"
  sed -n 's/^unit \([^ ]*\) .*/\1/p' "$home/previous/state" | while read -r unit; do
    case $(systemctl --user is-enabled "$unit" 2>/dev/null) in
      enabled) echo "now unit $unit enabled" ;;
      *) echo "now unit $unit disabled" ;;
    esac
  done
  sed -n -e 's/^nolink //p' -e '/^link to /d' -e 's/^link //p' "$home/previous/state" | while IFS= read -r place; do
    unescape "$place"
    if [ -L "$text" ]; then printf 'now link %s\nnow link to %s\n' "$place" "$(readlink "$text")"
    elif [ ! -e "$text" ]; then printf 'now nolink %s\n' "$place"
    fi
  done
fi
exit 0
