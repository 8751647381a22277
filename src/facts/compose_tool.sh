# Tells how compose is called and its version: `hyphen VERSION MARK` or `plugin VERSION`. docker-compose 1.x takes up to seconds
# to start, so where $1 is such a line of before and its mark still fits, that is the answer. The mark is of this boot and of the
# program's file: its place, inode, size and times. Without `stat` there is none.
compose_tool() {
  if program=$(command -v docker-compose 2>/dev/null); then
    mark=
    if boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) && file=$(stat -L -c '%i-%s-%Y-%Z' "$program" 2>/dev/null); then
      mark=$boot:$file:$program
    fi
    case $1 in
      "hyphen "*" $mark") if [ -n "$mark" ]; then printf '%s\n' "$1"; return; fi ;;
    esac
    if version=$(docker-compose version --short 2>/dev/null); then printf 'hyphen %s %s\n' "$version" "$mark"; return; fi
  fi
  if version=$(docker compose version --short 2>/dev/null); then printf 'plugin %s\n' "$version"; fi
}
