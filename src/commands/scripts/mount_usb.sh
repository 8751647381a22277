# has external storage mounted
mount >/dev/null || exit
for directory in /run/media/system/*; do
  if ls -- "$directory/" >/dev/null 2>&1; then printf '%s\n' "$directory"; fi
done
exit 0
