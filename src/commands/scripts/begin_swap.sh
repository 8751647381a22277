# leaves a guard that puts the version that was kept back, and notes that the containers change from now on
swap=$1 limit=$2 grace=$3 guard=$4 lock=$5
application=${swap%/swap} application=${application##*/}
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
if [ ! -d "$swap" ]; then echo "$swap: no version is kept here" >&2; exit 1; fi
unit=o3r-deploy-guard-$application.service
units=/home/oem/.config/systemd/user
env printf '%s\n' "$guard" >"$swap/guard" && env printf '%s\n' "$lock" >"$swap/lock" || exit
printf '%s %s\n' "$(cat /proc/sys/kernel/random/boot_id)" "$(cat /proc/sys/kernel/random/uuid)" >"$swap/armed" || exit
: >"$swap/begun" || exit
# A unit of the user's systemd outlives the session, and a power cut: it begins before what starts the application.
mkdir -p -- "$units/default.target.wants" || exit
{
  printf '[Unit]\nDescription=puts the previous version of %s back unless the new one is confirmed\n' "$application"
  sed -n 's/^unit \([^ ]*\) .*/Before=\1/p' "$swap/state"
  printf '[Service]\nType=oneshot\nExecStart=/bin/sh %s/guard %s %s\n' "$swap" "$limit" "$grace"
  printf '[Install]\nWantedBy=default.target\n'
} >"$units/$unit" && ln -sf -- "../$unit" "$units/default.target.wants/$unit" || exit
sync
if systemctl --user daemon-reload 2>/dev/null; then systemctl --user stop "$unit" 2>/dev/null; fi
if ! systemctl --user start --no-block "$unit" 2>/dev/null; then
  # Without it, a process of its own: no session's descriptors, no session's signals.
  (
    trap '' HUP
    if command -v setsid >/dev/null; then exec setsid sh "$swap/guard" "$limit" "$grace"; else exec sh "$swap/guard" "$limit" "$grace"; fi
  ) </dev/null >/dev/null 2>&1 &
fi
date +%s
