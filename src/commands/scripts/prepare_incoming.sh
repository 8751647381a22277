# makes room for what will arrive
exec xargs -0 -r sh -c '
name=$0
for directory do rm -rf -- "$directory/$name" && mkdir -- "$directory/$name" || exit 255; done' "$1"
