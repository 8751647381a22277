# prints what docker-compose makes of compose projects: of each its status, its standard error, the services that it brings up and
# the project, each behind a record separator
# Each line of input is a directory and the compose files there; none are those that docker-compose finds by itself.
if command -v docker-compose >/dev/null; then
  compose() { docker-compose "$@"; }
  all=
else
  compose() { docker compose "$@"; }
  all='--profile=*'
fi
errors=$(mktemp) || exit
trap 'rm -f "$errors"' EXIT
set -f
while IFS='	' read -r directory files; do
  set --
  for file in $files; do set -- "$@" --file "$file"; done
  cd -- "$directory" || exit
  # shellcheck disable=SC2086 # an option, or nothing
  project=$(compose $all --project-name app "$@" config 2>"$errors" </dev/null)
  status=$?
  services=
  # The old ones name those of profiles that are not enabled, too.
  if [ "$status" = 0 ] && [ -n "$all" ]; then
    services=$(compose --project-name app "$@" config --services 2>/dev/null </dev/null)
  fi
  printf '\036%s' "$status" "$(cat "$errors")" "$services" "$project"
done
