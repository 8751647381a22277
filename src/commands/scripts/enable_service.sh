# enables a service and links its compose file
service=$1 file=$2 place=$3/$1
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
if [ ! -f "$file" ]; then echo "$file: no such file on the device" >&2; exit 1; fi
case ${file##*/} in
  docker-compose.yml | docker-compose.yaml)
    link=$place target=${file%/*}
    # A directory of links, as made for a file of another name, gives way; anything else in it does not.
    if [ -d "$place" ] && [ ! -L "$place" ]; then
      if [ -L "$place/docker-compose.yml" ]; then rm -f -- "$place/docker-compose.yml"; fi
      rmdir -- "$place" || exit
    fi ;;
  *)
    link=$place/docker-compose.yml target=$file
    if [ -L "$place" ]; then rm -f -- "$place" || exit; fi
    mkdir -p -- "$place" || exit ;;
esac
if [ ! -L "$link" ] && [ -e "$link" ]; then echo "$link is there and no link" >&2; exit 1; fi
if [ "$(readlink "$link")" != "$target" ]; then
  ln -sfn -- "$target" "$link.new" && { [ ! -L "$link" ] || rm -f -- "$link"; } && mv -f -- "$link.new" "$link" || exit
fi
systemctl --user enable "oem-dc@$service.service" || exit
sync
[ "$(systemctl --user is-enabled "oem-dc@$service.service")" = enabled ] || { echo "oem-dc@$service is not enabled" >&2; exit 1; }
[ "$(readlink "$link")" = "$target" ] || { echo "$link does not point to $target" >&2; exit 1; }
