
# Notes in the history how the attempt to replace a version that is kept ended.
note_attempt() {
  if [ ! -s "$1/attempt" ]; then return 0; fi
  history=${1%/*}/history entry=$(cat "$1/attempt")
  {
    if [ -f "$history.jsonl" ]; then tail -n 99 "$history.jsonl"; fi
    env printf '%s,"result":"%s"}\n' "${entry%?}" "$2"
  } >"$history.new" && sync && mv -f -- "$history.new" "$history.jsonl" && rm -f -- "$1/attempt"
}
