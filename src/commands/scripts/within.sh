# Runs a command for at most so many seconds; gives 124 where it was ended for that. What it waits for may never answer.
within() {
  seconds=$1
  shift
  if command -v timeout >/dev/null; then
    timeout "$seconds" "$@"
    status=$?
    # So ends busybox's.
    if [ "$status" -eq 143 ]; then return 124; fi
    return "$status"
  fi
  "$@" &
  within=$!
  # It holds nothing open that somebody waits for.
  (
    exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
    while [ "$seconds" -gt 0 ]; do
      seconds=$((seconds - 1))
      sleep 1
    done
    kill "$within"
  ) </dev/null >/dev/null 2>&1 &
  watchdog=$!
  wait "$within"
  status=$?
  if kill "$watchdog" 2>/dev/null; then return "$status"; fi
  return 124
}
