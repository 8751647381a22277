# leaves a guard that puts the version that was kept back, and notes that the containers change from now on
swap=$1 limit=$2 grace=$3 guard=$4 lock=$5 place=$6
application=${swap%/swap} application=${application##*/}
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
if [ ! -d "$swap" ]; then echo "$swap: no version is kept here" >&2; exit 1; fi
unit=o3r-deploy-guard-$application.service
units=/home/oem/.config/systemd/user
# An earlier guard may still be reading its own.
for script in guard lock; do
  rm -f -- "$swap/$script" || exit
done
env printf '%s\n' "$guard" >"$swap/guard" && env printf '%s\n' "$lock" >"$swap/lock" || exit
# The word of the lock is its deployer's: by it the guard knows whether it lives.
deployer=$(head -n 1 "$place/lock" 2>/dev/null)
printf '%s %s %s\n' "$(cat /proc/sys/kernel/random/boot_id)" "$(cat /proc/sys/kernel/random/uuid)" "$deployer" >"$swap/armed.new" || exit
: >"$swap/begun" && mv -f -- "$swap/armed.new" "$swap/armed" || exit
# An earlier guard, or a confirmation that was cut off, has nothing to say any more.
rm -f -- "$swap/putting_back" "$swap/confirmed" || exit
# A unit of the user's systemd outlives the session, and a power cut: it begins before what starts the application.
mkdir -p -- "$units/default.target.wants" || exit
{
  printf '[Unit]\nDescription=puts the previous version of %s back unless the new one is confirmed\n' "$application"
  sed -n 's/^unit \([^ ]*\) .*/Before=\1/p' "$swap/state"
  for started in "$units"/default.target.wants/oem-dc*; do
    if [ -L "$started" ]; then printf 'Before=%s\n' "${started##*/}"; fi
  done
  printf '[Service]\nType=oneshot\nKillMode=process\nExecStart=/bin/sh %s/guard %s %s %s\n' "$swap" "$limit" "$grace" "$place"
  printf '[Install]\nWantedBy=default.target\n'
} >"$units/$unit" && ln -sf -- "../$unit" "$units/default.target.wants/$unit" || exit
sync
if systemctl --user daemon-reload 2>/dev/null; then systemctl --user stop "$unit" 2>/dev/null; fi
if ! systemctl --user start --no-block "$unit" 2>/dev/null; then
  # Without it, a process of its own: no session's descriptors, no session's signals.
  (
    trap '' HUP
    if command -v setsid >/dev/null; then exec setsid sh "$swap/guard" "$limit" "$grace" "$place"; else exec sh "$swap/guard" "$limit" "$grace" "$place"; fi
  ) </dev/null >/dev/null 2>&1 &
fi
date +%s
