# prints what docker-compose makes of compose files, and changes nothing that stays
nonce=$1 place=$2 directory=$3 project=$4 known_compose=$5
shift 5
section() { printf '\n%s %s\n' "$nonce" "$1"; }
umask 077
# In RAM, and only for this user: environment files hold secrets.
scratch=$(mktemp -d /tmp/o3r-deploy-compose.XXXXXX) || exit
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM PIPE
root=
if [ "$place" = staged ]; then
  root=$scratch/root
  mkdir "$root" && tar -x -f - -C "$root" && mkdir -p -- "$root$directory" || exit
fi
# Files that are on the device already, pairs of their places; of one that is nowhere the plan says so.
while [ "$1" != -- ]; do
  staged=$root$1
  mkdir -p -- "${staged%/*}" || exit
  if [ -e "$2" ]; then ln -s -- "$2" "$staged" || exit; else : >"$staged" || exit; fi
  shift 2
done
shift
exec </dev/null
cd -- "$root$directory" || exit
if command -v docker-compose >/dev/null 2>&1; then
  compose() { docker-compose "$@"; }
  profiles=
else
  compose() { docker compose "$@"; }
  # Else services whose profile is not enabled are left out.
  profiles='--profile *'
fi
compose_tool "$known_compose" >"$scratch/tool" &
count=$#
for file do set -- "$@" --file "$root$file"; done
shift "$count"
section root
echo "$root"
section config
set -f
# shellcheck disable=SC2086 # an option and its value, or nothing
compose $profiles --project-name "$project" --project-directory "$root$directory" "$@" config 2>"$scratch/errors"
status=$?
section status
echo "$status"
section errors
cat "$scratch/errors"
wait
section tool
cat "$scratch/tool"
section end
