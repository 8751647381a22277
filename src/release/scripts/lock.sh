# looks after the lock of the device
mode=$1 place=$2 token=$3 over=$4 who=$5 patience=$6 hold_off=$7
boot=$(cat /proc/sys/kernel/random/boot_id)

# When a process began, in ticks since the boot: a number may have been given to another process since.
began() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return
  # shellcheck disable=SC2086 # fields; the name before them, in parentheses, may hold anything
  set -- ${stat##*)}
  shift 19
  echo "$1"
}
# Says why nobody can lock the device, and ends.
refuse() { printf 'refused\n%s\n\n' "$1"; exit 0; }
# Whether the directory is this user's, or that of one who may do anything with docker as this user may: nobody else can have put
# links into it.
is_ours() { [ -O "$place" ] || { [ -w "$place" ] && [ "$(stat -c %G "$place")" = docker ]; }; }
# Makes the directory of the lock. All who may use docker share it: they have to keep each other off.
make_place() {
  if [ -L "$place" ]; then refuse "\`$place\` is a link of the user \`$(stat -c %U "$place")\`"; fi
  if [ -e "$place" ] && [ ! -d "$place" ]; then refuse "\`$place\` is no directory, and belongs to the user \`$(stat -c %U "$place")\`"; fi
  error=$(mkdir -p "$place" 2>&1) || refuse "\`$place\` cannot be made: $error"
  if [ -L "$place" ] || ! is_ours; then refuse "\`$place\` belongs to the user \`$(stat -c %U "$place")\`"; fi
  if [ -O "$place" ] && [ "$(stat -c %G "$place")" != docker ]; then
    chgrp docker "$place" 2>/dev/null && chmod 2775 "$place"
  fi
}
# One at a time looks and changes; each is done in a moment, so that one who is not has died in it.
enter() {
  tries=0
  until error=$(mkdir "$place/entered" 2>&1); do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then return 1; fi
    if [ "$tries" -gt 30 ]; then rmdir "$place/entered" 2>/dev/null; fi
    sleep 0.1 2>/dev/null || sleep 1
  done
}
leave() { rmdir "$place/entered" 2>/dev/null; }
read_lock() {
  l_token='' l_pid='' l_began='' l_boot='' l_who=''
  [ -f "$place/lock" ] || return
  { read -r l_token; read -r l_pid; read -r l_began; read -r l_boot; read -r l_who; } <"$place/lock"
}
is_alive() { [ "$l_boot" = "$boot" ] && [ -n "$l_began" ] && [ "$(began "$l_pid")" = "$l_began" ]; }
# The lock goes; who had it last stays known.
unlock() { rm -f -- "$place/last" && printf '%s\n' "$l_token" >"$place/last" && rm -f -- "$place/lock"; }

# The process that has locked a file, from the kernel's own list: that takes no program and does not disturb the lock.
holder_of() {
  if [ -z "$1" ] || [ ! -e "$1" ]; then return 1; fi
  # shellcheck disable=SC2046 # two numbers
  set -- $(stat -L -c '%d %i' "$1")
  key=$(printf '%02x:%02x:%d' $(($1 >> 8 & 4095)) $(($1 & 255 | $1 >> 12 & 1048320)) "$2")
  while read -r _ _ _ _ pid inode _; do
    if [ "$inode" = "$key" ]; then echo "$pid"; return; fi
  done </proc/locks
  return 1
}

case $mode in
  look)
    if read_lock; then
      if is_alive; then echo alive; else echo dead; fi
      printf '%s\n%s\n' "$l_token" "$l_who"
    fi
    exit 0 ;;
  break)
    if [ -L "$place" ] || ! is_ours; then echo "$place belongs to the user $(stat -c %U "$place")" >&2; exit 1; fi
    enter || { echo "$place/entered cannot be made: $error" >&2; exit 1; }
    if read_lock && [ "$l_token" = "$token" ]; then
      # The process of another user sees by itself that its lock is gone.
      if is_alive; then kill "$l_pid" 2>/dev/null; fi
      unlock
    fi
    leave
    exit 0 ;;
esac

umask 022
make_place
enter || refuse "\`$place/entered\` cannot be made: $error"
waited=0
while read_lock && [ "$l_token" != "$token" ] && [ "$l_token" != "$over" ] && is_alive; do
  leave
  if [ "$mode" != with ]; then printf 'held\n%s\n%s\n' "$l_token" "$l_who"; exit 0; fi
  # The guard comes back later.
  if [ "$waited" -ge 60 ]; then exit 1; fi
  waited=$((waited + 1))
  sleep 1
  enter || exit 1
done
if [ -n "$l_token$l_pid" ]; then
  if is_alive; then kill "$l_pid" 2>/dev/null; fi
  unlock
fi
if pid=$(holder_of "$hold_off"); then
  leave
  printf 'off\n%s\n%s\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
  exit 0
fi
# What another user has left can be removed and not written.
rm -f -- "$place/lock.new"
printf '%s\n' "$token" "$$" "$(began $$)" "$boot" "$who" >"$place/lock.new" && mv -f -- "$place/lock.new" "$place/lock"
taken=$?
leave
if [ "$taken" -ne 0 ]; then exit 1; fi
watcher=
# shellcheck disable=SC2317 # called by trap
release() {
  if [ -n "$watcher" ]; then kill "$watcher" 2>/dev/null; fi
  rm -f -- "$place/beat.$$"
  # Without, the lock is that of a dead process.
  enter || return
  if read_lock && [ "$l_pid" = $$ ]; then unlock; fi
  leave
}
trap release EXIT
trap 'exit 0' HUP INT TERM PIPE
# The words that remain are what is done while the lock is held.
if [ "$mode" = with ]; then
  shift 7
  "$@"
  exit
fi
printf 'taken\n%s\n\n' "$(cat "$place/last" 2>/dev/null)"
# The deployer sends a line now and then. Without any for a while it is gone, whatever the connection believes; when the
# connection ends, so does standard input.
(
  quiet=0 nap=
  trap 'kill "$nap" 2>/dev/null; exit 0' TERM
  while sleep 2 & nap=$!; wait "$nap" && kill -0 $$ 2>/dev/null; do
    if rm "$place/beat.$$" 2>/dev/null; then quiet=0; else quiet=$((quiet + 2)); fi
    # Another user who takes the lock away cannot end this process.
    if [ "$quiet" -ge "$patience" ] || ! read_lock || [ "$l_pid" != $$ ]; then kill $$; fi
  done
) </dev/null >/dev/null 2>&1 &
watcher=$!
while read -r _; do : >"$place/beat.$$"; done
exit 0
