# makes the version that was kept the previous one
home=$1 record=$2 entry=$3
application=${home##*/}
swap=$home/swap
mkdir -p -- "$home" || exit
if [ -e "$swap/putting_back" ]; then echo "the guard has begun to put the previous version back" >&2; exit 3; fi
# From here on the guard leaves things as they are.
if [ -e "$swap/armed" ]; then mv -f -- "$swap/armed" "$swap/confirmed" || exit 3; fi
if [ -n "$entry" ]; then
  { if [ -f "$home/history.jsonl" ]; then tail -n 99 "$home/history.jsonl"; fi; env printf '%s\n' "$entry"; } >"$home/history.new" || exit
fi
env printf '%s' "$record" >"$home/record.new" && sync || exit
if [ -n "$entry" ]; then mv -f -- "$home/history.new" "$home/history.jsonl" || exit; fi
mv -f -- "$home/record.new" "$home/record.json" || exit
if [ -f "$swap/state" ]; then
  rm -rf -- "$home/before" && if [ -e "$home/previous" ]; then mv -- "$home/previous" "$home/before"; fi && mv -- "$swap" "$home/previous" || exit
  rm -f -- "$home/previous/guard" "$home/previous/confirmed" "$home/previous/lock"
  if [ -f "$home/before/state" ]; then
    while read -r key _ _ _ id _; do
      if [ "$key" != service ] || grep -q " $id " "$home/previous/state"; then continue; fi
      digest=${id#sha256:}
      docker image rm "o3r-deploy.previous:$application.$(printf %.12s "$digest")" >/dev/null 2>&1
    done <"$home/before/state"
  fi
  rm -rf -- "$home/before"
fi
unit=o3r-deploy-guard-$application.service
units=/home/oem/.config/systemd/user
if [ -e "$units/$unit" ]; then
  rm -f -- "$units/default.target.wants/$unit" "$units/$unit"
  rmdir -- "$units/default.target.wants" "$units" "${units%/*}" "/home/oem/.config" 2>/dev/null
fi
sync
