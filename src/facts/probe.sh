# reads what is there, changes nothing
nonce=$1 wants=$2
shift 2
section() { printf '\n%s %s\n' "$nonce" "$1"; }
wanted() { case " $wants " in *" $1 "*) section "$1" ;; *) return 1 ;; esac; }
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
compose_home=/usr/share/oem/docker/compose

# Batches of paths: names, then mode and size of each, then digests of the regular files that can be read; NUL between.
# With `follow`, a link is what it leads to.
unset follow
describe='
count=$#
for path do if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" "$path"; fi; done
shift "$count"
[ $# -gt 0 ] || exit 0
printf "%s\0" "$@"; printf "\0"
stat ${follow:+-L} -c "%f %s" "$@" 2>&1; printf "\0"
count=$#
for path do if [ -f "$path" ] && [ -r "$path" ] && { [ -n "$follow" ] || [ ! -L "$path" ]; }; then set -- "$@" "$path"; fi; done
shift "$count"
if [ $# -gt 0 ]; then printf "%s\0" "$@"; fi; printf "\0"
if [ $# -gt 0 ]; then sha256sum "$@" 2>&1; fi
printf "\0"'

section system
uname -m
date +%s

section emulators
for file in /proc/sys/fs/binfmt_misc/qemu-*; do
  if [ -e "$file" ]; then echo "${file##*/}"; fi
done

if wanted docker; then docker version --format '{{.Server.Version}}' 2>&1; fi
if wanted containers; then
  ids=$(docker container ls --all --quiet --no-trunc) && [ -n "$ids" ] && docker container inspect $ids
fi
if wanted images; then
  ids=$(docker image ls --all --quiet --no-trunc) && [ -n "$ids" ] && docker image inspect $(echo "$ids" | sort -u)
fi
if wanted volumes; then
  names=$(docker volume ls --quiet) && [ -n "$names" ] && docker volume inspect $names
fi
if wanted compose; then
  if version=$(docker-compose version --short 2>/dev/null); then echo "hyphen $version"
  elif version=$(docker compose version --short 2>/dev/null); then echo "plugin $version"
  fi
fi
if wanted records; then
  for file in /home/oem/.o3r-deploy/*/record.json; do
    if [ -f "$file" ]; then printf '%s\0' "$file"; cat "$file"; printf '\0'; fi
  done
fi
if wanted autostart; then
  systemctl --user list-unit-files 'oem-dc*' --no-legend --no-pager 2>&1
fi

# The words that remain: `service NAME`, `text FILE`, `archive FILE`, `tree PATH`.
while [ $# -gt 1 ]; do
  kind=$1 name=$2
  shift 2
  section "$kind"
  printf '%s\0' "$name"
  case $kind in
    service)
      directory=$compose_home/$name
      systemctl --user is-enabled "oem-dc@$name.service" 2>/dev/null; printf '\0'
      if [ -L "$directory" ]; then readlink "$directory"; fi; printf '\0'
      if [ -L "$directory" ]; then :
      elif [ -L "$directory/docker-compose.yml" ]; then readlink "$directory/docker-compose.yml"
      fi
      printf '\0'
      if [ ! -L "$directory" ] && [ ! -L "$directory/docker-compose.yml" ] && [ -e "$directory/docker-compose.yml" ]; then echo own; fi ;;
    text) if [ -f "$name" ]; then cat "$name"; fi ;;
    archive)
      if [ -f "$name" ]; then
        if manifest=$(tar -xOf "$name" manifest.json 2>/dev/null) || manifest=$(tar -xzOf "$name" manifest.json 2>/dev/null); then
          printf '%s' "$manifest" | sed -n 's/.*"Config":"\(blobs\/sha256\/\)\{0,1\}\([0-9a-f]\{64\}\).*/image \2/p'
        else
          digest=$(sha256sum "$name") && digest=${digest%% *} && echo "rootfs ${digest#\\}"
        fi
      fi ;;
    tree)
      if [ -d "$name" ]; then find "$name/" -type f -exec sh -c "$describe" sh {} +
      elif [ -f "$name" ]; then follow=1 sh -c "$describe" sh "$name"
      fi ;;
  esac
done

section paths
xargs -0 -r -n 500 sh -c "$describe" sh

section end
exit 0
