# removes what arrived in part
xargs -0 -r sh -c '
name=$0
for directory do rm -rf -- "$directory/$name"; done' "$1"
exit 0
