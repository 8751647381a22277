
# Leaves the guard in the directory of a version that is kept. Without a limit it acts at the next start of the device alone.
arm_guard() {
  application=${1%/*} application=${application##*/}
  unit=o3r-deploy-guard-$application.service
  units=/home/oem/.config/systemd/user
  # An earlier guard may still be reading its own.
  rm -f -- "$1/guard" "$1/lock" || exit
  env printf '%s\n' "$5" >"$1/guard" && env printf '%s\n' "$6" >"$1/lock" || exit
  # The word of the lock is its deployer's: by it the guard knows whether it lives.
  deployer=$(head -n 1 "$4/lock" 2>/dev/null)
  printf '%s %s %s\n' "$(cat /proc/sys/kernel/random/boot_id)" "$(cat /proc/sys/kernel/random/uuid)" "$deployer" >"$1/armed.new" || exit
  # A unit of the user's systemd outlives the session, and a power cut: it begins before what starts the application.
  mkdir -p -- "$units/default.target.wants" || exit
  {
    printf '[Unit]\nDescription=puts the previous version of %s back unless the new one is confirmed\n' "$application"
    sed -n 's/^unit \([^ ]*\) .*/Before=\1/p' "$1/state"
    for started in "$units"/default.target.wants/oem-dc*; do
      if [ -L "$started" ]; then printf 'Before=%s\n' "${started##*/}"; fi
    done
    printf '[Service]\nType=oneshot\nKillMode=process\nExecStart=/bin/sh %s/guard %s %s %s\n' "$1" "$2" "$3" "$4"
    printf '[Install]\nWantedBy=default.target\n'
  } >"$units/$unit" && ln -sf -- "../$unit" "$units/default.target.wants/$unit" || exit
  sync
  mv -f -- "$1/armed.new" "$1/armed" || exit
}
main "$@"
