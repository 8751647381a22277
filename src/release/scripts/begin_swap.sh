# arms the guard that puts the version that was kept back, and notes that the containers change from now on
main() {
  swap=$1 limit=$2 grace=$3 guard=$4 lock=$5 place=$6
  home=${swap%/*} application=${swap%/*} application=${application##*/}
  export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
  if [ ! -d "$swap" ]; then echo "$swap: no version is kept here" >&2; exit 1; fi
  : >"$swap/begun" || exit
  arm_guard "$swap" "$limit" "$grace" "$place" "$guard" "$lock"
  # An earlier guard, or a confirmation that was cut off, has nothing to say any more.
  rm -f -- "$swap/putting_back" "$swap/confirmed" || exit
  if [ "${swap##*/}" != first ]; then rm -rf -- "$home/first" || exit; fi
  sync
  unit=o3r-deploy-guard-$application.service
  if systemctl --user daemon-reload 2>/dev/null; then systemctl --user stop "$unit" 2>/dev/null; fi
  if ! systemctl --user start --no-block "$unit" 2>/dev/null; then
    # Without it, a process of its own: no session's descriptors, no session's signals.
    (
      trap '' HUP
      if command -v setsid >/dev/null; then exec setsid sh "$swap/guard" "$limit" "$grace" "$place"; else exec sh "$swap/guard" "$limit" "$grace" "$place"; fi
    ) </dev/null >/dev/null 2>&1 &
  fi
  date +%s
}
