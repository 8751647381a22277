# keeps the version that runs, for the way back
main() {
  swap=$1 application=$2 put_back=$3 guard=$4 lock=$5 place=$6 attempt=$7
  home=${swap%/*}
  unescape() { case $1 in *\\*) text=$(printf '%b.' "$1") text=${text%.} ;; *) text=$1 ;; esac; }
  # What an update that was cut off has kept is still the version that ran: it is only added to. Its guard stays until the next.
  if [ -f "$swap/state" ]; then
    fresh=
  else
    fresh=yes
    rm -rf -- "$swap" "$swap.gone" && mkdir -p -- "$swap/files" || exit
  fi
  rm -f -- "$swap/put_back" && printf '%s\n' "$put_back" >"$swap/put_back" && : >"$swap/more" || exit
  # A connection that is cut ends the input as its end does.
  ended=
  while IFS= read -r line; do
    case $line in
      end) ended=yes ;;
      'keep '*)
        unescape "${line#keep }"
        kept=$swap/files$text
        if [ -e "$kept" ] || [ -L "$kept" ] || { [ -z "$fresh" ] && grep -Fxq -- "new ${line#keep }" "$swap/state"; }; then continue; fi
        # What is not there now goes on the way back.
        if [ ! -e "$text" ] && [ ! -L "$text" ]; then printf 'new %s\n' "${line#keep }" >>"$swap/more" || exit; continue; fi
        mkdir -p -- "${kept%/*}" && { ln -- "$text" "$kept" 2>/dev/null || cp -p -- "$text" "$kept"; } || exit ;;
      'new '*)
        unescape "${line#new }"
        if [ -e "$swap/files$text" ] || [ -L "$swap/files$text" ] || { [ -z "$fresh" ] && grep -Fxq -- "$line" "$swap/state"; }; then continue; fi
        printf '%s\n' "$line" >>"$swap/more" || exit ;;
      *) if [ -n "$fresh" ]; then printf '%s\n' "$line" >>"$swap/more" || exit; fi ;;
    esac
  done
  if [ -z "$ended" ]; then echo "what is to be kept did not arrive" >&2; exit 1; fi
  if [ -n "$fresh" ]; then
    if [ -f "$home/record.json" ]; then cp -- "$home/record.json" "$swap/record.json" || exit; fi
    # Nothing that tidies up takes an image that has a name.
    while read -r key _ _ _ id _; do
      if [ "$key" = service ]; then
        digest=${id#sha256:}
        docker image tag "$id" "o3r-deploy.previous:$application.$(printf %.12s "$digest")" || exit
      fi
    done <"$swap/more"
  else
    cat "$swap/state" "$swap/more" >"$swap/both" && mv -f -- "$swap/both" "$swap/more" || exit
  fi
  # An attempt that this one carries on ends here; over another connection it is the same one.
  if [ -s "$swap/attempt" ] && [ "$(cat "$swap/attempt")" != "$attempt" ]; then note_attempt "$swap" interrupted || exit; fi
  if [ -n "$attempt" ]; then env printf '%s\n' "$attempt" >"$swap/attempt" || exit; fi
  sync
  mv -f -- "$swap/more" "$swap/state" || exit
  # From the first change on a start of the device puts the version back. The guard of an attempt before this one stays.
  if [ ! -e "$swap/armed" ] && [ ! -e "$swap/putting_back" ]; then
    arm_guard "$swap" 0 0 "$place" "$guard" "$lock"
  fi
  sync
}
