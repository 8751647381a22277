# puts the previous version back unless the new one is confirmed in time
swap=${0%/*} limit=$1 grace=$2
place=/tmp/o3r-deploy
application=${swap%/swap} application=${application##*/}
armed=$(cat "$swap/armed" 2>/dev/null)
boot=$(cat /proc/sys/kernel/random/boot_id)
is_armed() { [ -n "$armed" ] && [ "$(cat "$swap/armed" 2>/dev/null)" = "$armed" ]; }
# After a power cut nobody confirms any more.
if [ "${armed%% *}" = "$boot" ]; then
  # Seconds are counted: the clock may jump. A deployer that is gone, and with it its lock, may come back within the grace.
  left=$limit gone=0
  while is_armed && [ "$left" -gt 0 ] && [ "$gone" -lt "$grace" ]; do
    sleep 1
    left=$((left - 1)) gone=$((gone + 1))
    case $(sh "$swap/lock" look "$place" 2>/dev/null) in alive*) gone=0 ;; esac
  done
fi
# Renamed, it is nobody else's: either this succeeds or the confirmation.
if is_armed; then mv -- "$swap/armed" "$swap/putting_back" 2>/dev/null; fi
if [ ! -e "$swap/putting_back" ]; then exit 0; fi
tries=0
until docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ]; then exit 1; fi
  sleep 1
done
who="{\"user\":\"$(id -un)\",\"host\":\"the device itself\",\"process\":$$,\"since\":\"an update was not confirmed\",\"what\":\"puts the previous version of $application back\"}"
sh "$swap/lock" with "$place" "guard $$ $boot" '' "$who" 0 '' sh "$swap/put_back" "$swap"
