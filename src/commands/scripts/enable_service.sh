# enables a service and links its compose file
service=$1 file=$2 place=$3/$1 kind=$4
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
refuse() { printf '%s\n' "$1" >&2; exit 1; }
if [ ! -f "$file" ]; then refuse "$file: no such file on the device"; fi
case $kind in
  directory)
    link=$place target=${file%/*}
    # A directory of the one link, as made for a file of another name, gives way; one with anything else in it does not.
    if [ -d "$place" ] && [ ! -L "$place" ]; then
      for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
        if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
        if [ "$entry" != "$place/docker-compose.yml" ] || [ ! -L "$entry" ]; then refuse "$entry is there and in the way"; fi
      done
      rm -f -- "$place/docker-compose.yml" && rmdir -- "$place" || exit
    fi ;;
  *)
    link=$place/docker-compose.yml target=$file
    if [ -L "$place" ]; then rm -f -- "$place" || exit; fi
    mkdir -p -- "$place" || exit ;;
esac
if [ ! -L "$link" ] && [ -e "$link" ]; then refuse "$link is there and no link"; fi
if [ "$(readlink "$link")" != "$target" ]; then
  # Not renamed over the old one: what is a link to a directory takes what is moved to it.
  rm -f -- "$link" && ln -s -- "$target" "$link" || exit
fi
systemctl --user enable "oem-dc@$service.service" || exit
sync
[ "$(systemctl --user is-enabled "oem-dc@$service.service")" = enabled ] || refuse "oem-dc@$service is not enabled"
[ "$(readlink "$link")" = "$target" ] || refuse "$link does not point to $target"
