# makes the version that was kept the previous one
home=$1 record=$2 entry=$3
application=${home##*/}
swap=$home/swap
mkdir -p -- "$home" || exit
# From here on the guard leaves things as they are, unless it was first: only one of the two can rename this.
for version in "$swap" "$home/first"; do
  if [ -e "$version/armed" ]; then mv -f -- "$version/armed" "$version/confirmed" 2>/dev/null; fi
  if [ -e "$version/putting_back" ]; then echo "the guard has begun to put the previous version back" >&2; exit 3; fi
done
if [ -n "$entry" ]; then
  { if [ -f "$home/history.jsonl" ]; then tail -n 99 "$home/history.jsonl"; fi; env printf '%s\n' "$entry"; } >"$home/history.new" || exit
fi
if [ -n "$record" ]; then env printf '%s' "$record" >"$home/record.new" || exit; fi
sync
if [ -n "$entry" ]; then mv -f -- "$home/history.new" "$home/history.jsonl" || exit; fi
# A version that something else put there has none.
if [ -n "$record" ]; then mv -f -- "$home/record.new" "$home/record.json" || exit; else rm -f -- "$home/record.json"; fi
# The version that nobody goes back to any more: its images lose the names that kept them.
forget() {
  if [ -f "$home/before/state" ]; then
    while read -r key _ _ _ id _; do
      if [ "$key" != service ] || grep -q " $id " "$home/previous/state" "$swap/state" 2>/dev/null; then continue; fi
      digest=${id#sha256:}
      docker image rm "o3r-deploy.previous:$application.$(printf %.12s "$digest")" >/dev/null 2>&1
    done <"$home/before/state"
  fi
  rm -rf -- "$home/before"
}
if [ -f "$swap/state" ]; then
  # One that a power cut has left.
  forget && if [ -e "$home/previous" ]; then mv -- "$home/previous" "$home/before"; fi && mv -- "$swap" "$home/previous" || exit
  rm -f -- "$home/previous/guard" "$home/previous/confirmed" "$home/previous/lock" "$home/previous/attempt"
  forget
fi
rm -rf -- "$home/first"
unit=o3r-deploy-guard-$application.service
units=/home/oem/.config/systemd/user
if [ -e "$units/$unit" ]; then
  rm -f -- "$units/default.target.wants/$unit" "$units/$unit"
  rmdir -- "$units/default.target.wants" "$units" "${units%/*}" "/home/oem/.config" 2>/dev/null
fi
sync
