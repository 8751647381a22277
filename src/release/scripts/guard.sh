# puts the previous version back unless the new one is confirmed in time
swap=${0%/*} limit=$1 grace=$2 place=$3
application=${swap%/*} application=${application##*/}
armed=$(cat "$swap/armed" 2>/dev/null || cat "$swap/putting_back" 2>/dev/null)
deployer=${armed##* }
boot=$(cat /proc/sys/kernel/random/boot_id)
is_armed() { [ -n "$armed" ] && [ "$(cat "$swap/armed" 2>/dev/null)" = "$armed" ]; }
# After a power cut nobody confirms any more.
if [ "${armed%% *}" = "$boot" ]; then
  # Until the containers change only another start of the device makes a mixture of two versions run.
  if [ "$limit" -eq 0 ] && is_armed; then exit 0; fi
  # Seconds are counted: the clock may jump. A deployer that is gone, and with it its lock, may come back within the grace; that
  # another has the lock is no sign of life of this one.
  left=$limit gone=0
  while is_armed && [ "$left" -gt 0 ] && [ "$gone" -lt "$grace" ]; do
    sleep 1
    left=$((left - 1)) gone=$((gone + 1))
    # shellcheck disable=SC2046 # `alive` or `dead`, and a word
    set -- $(sh "$swap/lock" look "$place" 2>/dev/null | head -n 2)
    if [ "${1:-}" = alive ] && [ "${2:-}" = "$deployer" ]; then gone=0; fi
  done
fi
# Whatever docker has started by itself may have seen the files of both versions.
if [ -n "$armed" ] && [ "${armed%% *}" != "$boot" ] && [ ! -e "$swap/confirmed" ]; then : >"$swap/begun"; fi
# Renamed, it is nobody else's: either this succeeds or the confirmation.
if is_armed; then mv -- "$swap/armed" "$swap/putting_back" 2>/dev/null; fi
if [ ! -e "$swap/putting_back" ]; then exit 0; fi
who="{\"user\":\"$(id -un)\",\"host\":\"the device itself\",\"process\":$$,\"guard\":true,\"since\":\"an update was not confirmed\",\"what\":\"puts the previous version of $application back\"}"
put_back() {
  # While the lock was waited for another update may have begun, which has a guard of its own.
  # shellcheck disable=SC2016 # a script of its own
  sh "$swap/lock" with "$place" "guard $$ $boot" '' "$who" 0 '' \
    sh -c 'if [ -e "$1/putting_back" ]; then exec sh "$1/put_back" "$1"; fi' sh "$swap"
  [ ! -e "$swap/putting_back" ]
}
# Docker may still be starting, and one that never answers is not waited for.
answers() { if command -v timeout >/dev/null; then timeout 20 docker version; else docker version; fi >/dev/null 2>&1; }
tries=0
until answers; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ]; then break; fi
  sleep 1
done
if put_back; then exit 0; fi
# What fails now may succeed in a while: what was plugged in is plugged in again, or there is room. Whatever starts the application
# with the device does not wait for that.
(
  trap '' HUP
  tries=0
  until [ ! -e "$swap/putting_back" ] || [ "$tries" -ge 100 ]; do
    tries=$((tries + 1))
    if [ "$tries" -lt 6 ]; then sleep $((tries * 10)); else sleep 60; fi
    put_back
  done
) </dev/null >/dev/null 2>&1 &
exit 1
