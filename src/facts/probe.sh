# reads what is there, changes nothing
nonce=$1 wants=$2 container_format=$3 image_format=$4 volume_format=$5 known_compose=$6
shift 6
section() { printf '\n%s %s\n' "$nonce" "$1"; }
wants() { case " $wants " in *" $1 "*) ;; *) return 1 ;; esac; }
wanted() { wants "$1" && section "$1"; }
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
compose_home=/usr/share/oem/docker/compose
export bare=''

# Describes paths, NUL after each part and an empty part at the end of the names: the names; a line for each that exists (mode,
# size, name); a letter for each (r: a file that can be read, u: one that cannot, l: a link to nothing, d: a directory of the
# user's own, o: anything else); lines
# of sha256sum. Each part names or counts what it speaks of, for things come and go meanwhile.
# shellcheck disable=SC2016
describe='newline="
"
printf "%s\0" "$@"; printf "\0"
stat -L -c "%f %s %n" "$@" 2>/dev/null; printf "\0"
others= letters=
for path do
  if [ -f "$path" ]; then
    if [ -r "$path" ]; then letters=${letters}r; else letters=${letters}u; fi
  else
    others=yes
    if [ -L "$path" ] && [ ! -e "$path" ]; then letters=${letters}l
    elif [ -d "$path" ] && [ -O "$path" ]; then letters=${letters}d
    else letters=${letters}o
    fi
  fi
done
printf "%s\0" "$letters"
if [ -n "$others" ]; then
  count=$#
  for path do if [ -f "$path" ]; then set -- "$@" "$path"; fi; done
  shift "$count"
fi
if [ $# -gt 0 ] && [ -z "$bare" ]; then
  # Not every `sha256sum` escapes a name with a line break: such a file is digested by itself, and named by its number.
  number=0 odd=
  for path do
    number=$((number + 1))
    case $path in *"$newline"* | *\\*) odd="$odd $number" ;; esac
  done
  if [ -z "$odd" ]; then sha256sum "$@" 2>/dev/null
  else
    number=0 count=$#
    for path do
      number=$((number + 1))
      case $path in
        *"$newline"* | *\\*) if digest=$(sha256sum 2>/dev/null <"$path"); then printf "%s  #%s\n" "${digest%% *}" "$number"; fi ;;
        *) set -- "$@" "$path" ;;
      esac
    done
    shift "$count"
    if [ $# -gt 0 ]; then sha256sum "$@" 2>/dev/null; fi
  fi
fi
printf "\0"'

# Lists files of a tree in the same way, as briefly as can be: their names; a line for each (mode, size), named where some are
# gone meanwhile; a letter for each.
# shellcheck disable=SC2016
list='
printf "%s\0" "$@"; printf "\0"
if lines=$(stat -L -c "%f %s" "$@" 2>/dev/null); then printf "%s\n" "$lines"
else stat -L -c "%f %s %n" "$@" 2>/dev/null
fi
letters=
for path do if [ -r "$path" ]; then letters=${letters}r; else letters=${letters}u; fi; done
printf "\0%s\0" "$letters"'

# Lists what else is in a tree in the same way, with other letters: d: a directory, D: one that cannot be looked into, l: a link
# that leads to something within the tree, x: one that leads to nothing, e: one that leads out of the tree, f and g: one that leads
# out of it to a file that can be read, or cannot; o: anything else. For each l two parts follow: where the link says that it leads, and where in the tree that
# is.
# shellcheck disable=SC2016
others='
printf "%s\0" "$@"; printf "\0"
stat -L -c "%f %s %n" "$@" 2>/dev/null
letters=
for path do
  if [ ! -L "$path" ]; then
    if [ ! -d "$path" ]; then letter=o
    elif [ -r "$path" ] && [ -x "$path" ]; then letter=d
    else letter=D
    fi
  elif [ ! -e "$path" ]; then letter=x
  else
    to=$(readlink -f "$path"; echo .)
    case ${to%??}/ in
      "$root"/*) letter=l ;;
      *) if [ ! -f "$path" ]; then letter=e; elif [ -r "$path" ]; then letter=f; else letter=g; fi ;;
    esac
  fi
  letters=$letters$letter
done
printf "\0%s\0" "$letters"
for path do
  case $letters in
    l*)
      says=$(readlink "$path"; echo .) to=$(readlink -f "$path"; echo .) to=${to%??}
      printf "%s\0%s\0" "${says%??}" "${to#"$root"}" ;;
  esac
  letters=${letters#?}
done'
squeezed() { if command -v gzip >/dev/null; then gzip -1; else cat; fi; }
# First of all: what is read afterwards is true as long as nobody has taken the lock since.
section lock
if [ -e /tmp/o3r-deploy/lock ]; then echo held; else echo free; cat /tmp/o3r-deploy/last 2>/dev/null; fi

# What went away meanwhile is no reason not to be told of the others; docker that does not answer is.
told() {
  "$@"
  if [ $? -eq 124 ]; then echo unknown; fi
}
docker_version() { if wanted docker; then within 20 docker version --format '{{.Server.Version}}' 2>&1; fi; }
docker_root() { if wants docker_root; then within 30 docker info --format '{{.DockerRootDir}}{{"\n"}}{{.DriverStatus}}' 2>/dev/null; fi; }
containers() {
  if wanted containers; then
    # shellcheck disable=SC2086 # here and below: IDs and names of volumes have neither spaces nor patterns
    if ids=$(within 30 docker container ls --all --quiet --no-trunc); then
      if [ -n "$ids" ]; then told within 30 docker container inspect --format "$container_format" $ids; fi
    else echo unknown
    fi
  fi
}
images() {
  if wanted images; then
    # One with several tags is listed several times.
    # shellcheck disable=SC2046
    if ids=$(within 30 docker image ls --all --quiet --no-trunc); then
      if [ -n "$ids" ]; then told within 30 docker image inspect --format "$image_format" $(echo "$ids" | sort -u); fi
    else echo unknown
    fi
  fi
}
volumes() {
  if wanted volumes; then
    # shellcheck disable=SC2086
    if names=$(within 30 docker volume ls --quiet); then
      if [ -n "$names" ]; then told within 30 docker volume inspect --format "$volume_format" $names; fi
    else echo unknown
    fi
  fi
}
compose() { if wanted compose; then compose_tool "$known_compose"; fi; }

# What takes long is asked at the same time: the first half of a pipeline works while the second half does, which reads it, from
# a descriptor of its own, at the end. No file is needed, and no half's failure matters: what is missing says so.
exec 8<&0 </dev/null
docker_version | { exec 9<&0 </dev/null
compose | { exec 3<&0 </dev/null
docker_root | { exec 7<&0 </dev/null
containers | { exec 4<&0 </dev/null
images | { exec 5<&0 </dev/null
volumes | { exec 6<&0 </dev/null

section system
uname -m
date +%s

section emulators
for file in /proc/sys/fs/binfmt_misc/qemu-*; do
  if [ -e "$file" ]; then echo "${file##*/}"; fi
done

if wanted records; then
  for file in /home/oem/.o3r-deploy/*/record.json; do
    if [ -f "$file" ]; then printf '%s\0' "$file"; cat "$file"; printf '\0'; fi
  done
fi
if wanted autostart; then
  systemctl --user list-unit-files 'oem-dc*' --no-legend --no-pager 2>&1
fi

newline='
'
root=$(cat <&7)
if [ -n "$root" ]; then
  cat <&9
  section docker_root
  store=${root#*"$newline"} root=${root%%"$newline"*}
  printf '%s\0%s' "$root" "$store"
  set -- "$@" room "$root"
fi
# The words that remain: `service NAME`, `archive FILE`, `tree PATH`, `room DIRECTORY`.
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
    room)
      # Of what is not there yet, the directory that it will be made in.
      directory=$name
      while [ -n "$directory" ] && [ ! -e "$directory" ]; do directory=${directory%/*}; done
      stat -L -c %d "${directory:-/}" 2>/dev/null && stat -f -c '%a %S %b %c %d' "${directory:-/}" 2>/dev/null ;;
    archive)
      if [ -f "$name" ]; then
        stat -L -c 'size %s' "$name"
        if manifest=$(tar -xOf "$name" manifest.json 2>/dev/null) || manifest=$(tar -xzOf "$name" manifest.json 2>/dev/null); then
          echo images
          printf '%s\n' "$manifest" | tr ',' '\n' | sed -n 's/.*"[Cc]onfig" *: *"\([^"]*[/:]\)\{0,1\}\([0-9a-f]\{64\}\).*/sha256:\2/p'
        elif tar -tf "$name" oci-layout >/dev/null 2>&1 || tar -tzf "$name" oci-layout >/dev/null 2>&1; then echo oci
        else
          digest=$(sha256sum "$name") && digest=${digest%% *} && echo "rootfs ${digest#\\}"
        fi
      fi ;;
    tree)
      if [ -d "$name" ]; then
        (
          if cd "$name/" 2>/dev/null; then
            root=$(pwd -P) root=${root%/}
            export root
            find . -type f -exec sh -c "$list" sh {} + 2>/dev/null
            find . ! -type f -exec sh -c "$others" sh {} + 2>/dev/null
          else printf '.\0\0\0D\0'
          fi
          printf '\0end'
        ) | squeezed
      elif [ -f "$name" ]; then sh -c "$list" sh "$name"; printf '\0end'
      elif [ ! -e "$name" ]; then
        # It may be there all the same, in a directory that cannot be looked into.
        directory=$name
        while [ -n "$directory" ] && [ ! -e "$directory" ]; do directory=${directory%/*}; done
        if [ -d "${directory:-/}" ] && [ ! -x "${directory:-/}" ]; then printf '.\0\0\0D\0\0end'; fi
      fi ;;
  esac
done

# Paths come on standard input, one a line, backslash and line break escaped, what holds something before what it holds.
lines=$(cat <&8)
missing=$newline
set -f --
IFS=$newline
# Of what has an at sign before it only is wanted where it leads, if it is a link.
section links
for path in $lines; do
  case $path in @*) path=${path#@} ;; *) continue ;; esac
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  if [ -L "$path" ]; then printf '%s\0' "$path"; readlink "$path"; printf '\0'; fi
done
section paths
for path in $lines; do
  case $path in *\\*) path=$(printf '%b.' "$path") path=${path%.} ;; esac
  # Of what has a minus before it no digests are wanted.
  case $path in
    @*) continue ;;
    -*)
      path=${path#-}
      if [ -e "$path" ] || [ -L "$path" ]; then bare=yes sh -c "$describe" sh "$path"; fi
      continue ;;
  esac
  # What is below a path that is not there is not there either.
  case $path in "$missing"/*) continue ;; esac
  if [ ! -e "$path" ] && [ ! -L "$path" ]; then missing=$path; continue; fi
  set -- "$@" "$path"
  if [ -d "$path/.o3r-deploy-incoming" ]; then find "$path/.o3r-deploy-incoming" ! -type d -exec sh -c "$describe" sh {} +; fi
  if [ $# -ge 200 ]; then sh -c "$describe" sh "$@"; set --; fi
done
if [ $# -gt 0 ]; then sh -c "$describe" sh "$@"; fi

cat <&9; cat <&4; cat <&5; cat <&6; cat <&3
section end
} } } } } }
exit 0
