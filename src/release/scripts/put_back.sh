# puts the version that was kept back
main() {
  version=$1 home=${1%/*} result=$2
  application=${home##*/}
  state=$version/state
  unescape() { case $1 in *\\*) text=$(printf '%b.' "$1") text=${text%.} ;; *) text=$1 ;; esac; }
  value() { sed -n "s/^$1 //p" "$state"; }
  if [ ! -f "$state" ]; then
    if [ "${version##*/}" != previous ]; then rm -rf -- "$version"; fi
    echo "$version: no version is kept here" >&2
    exit 4
  fi
  # What a newer program has kept may mean something else. One that names no format is of the first.
  format=$(value format)
  if [ "${format:-1}" -gt 1 ]; then echo "$version: kept by a newer o3r-deploy (format $format)" >&2; exit 5; fi
  # From here on nobody can confirm the other version.
  if [ -e "$version/armed" ]; then mv -f -- "$version/armed" "$version/putting_back" || exit; fi

  # Does something in a directory that may be closed even to its owner.
  # shellcheck disable=SC2016 # a part of two scripts
  within='
  within() {
    directory=$1 closed=
    shift
    if [ -d "$directory" ] && [ ! -w "$directory" ]; then closed=$(stat -c %a -- "$directory") && chmod u+rwx -- "$directory" || return; fi
    "$@"
    status=$?
    if [ -n "$closed" ] && [ -d "$directory" ]; then chmod "$closed" -- "$directory" || return; fi
    return "$status"
  }'
  eval "$within"
  # shellcheck disable=SC2016 # a script of its own
  restore='
  place() {
    rm -rf -- "$back"
    mkdir -p -- "$back" && { ln -- "$kept" "$back/${path##*/}" 2>/dev/null || cp -p -- "$kept" "$back/${path##*/}"; } &&
      mv -f -- "$back/${path##*/}" "$path" && rm -rf -- "$back"
  }
  files=$1
  shift
  for kept do
    path=${kept#"$files"}
    if [ "$kept" -ef "$path" ]; then continue; fi
    # What is identical is not put back: it may lie where nobody may write.
    if [ -L "$kept" ]; then
      if [ -L "$path" ] && [ "$(readlink "$kept")" = "$(readlink "$path")" ]; then continue; fi
    elif [ -f "$path" ] && [ ! -L "$path" ] && [ "$(stat -c "%a %u %s" "$kept")" = "$(stat -c "%a %u %s" "$path")" ] &&
      digest=$(sha256sum <"$path") && [ "$digest" = "$(sha256sum <"$kept")" ]; then
      continue
    fi
    back=${path%/*}/.o3r-deploy-back
    within "${path%/*}" place || exit
  done'
  # What is new goes first: the disk may be full of it.
  value new | while IFS= read -r path; do
    unescape "$path"
    # A directory under its name is none of the update's.
    if [ -L "$text" ] || { [ -e "$text" ] && [ ! -d "$text" ]; }; then within "${text%/*}" rm -f -- "$text" || exit; fi
  done || exit
  find "$version/files" \( -type f -o -type l \) -exec sh -c "$within$restore" sh "$version/files" {} + || exit
  value made | sort -r | while IFS= read -r path; do unescape "$path"; within "${text%/*}" rmdir -- "$text" 2>/dev/null; done
  value mode | sort -r -k 2 | while IFS= read -r line; do
    unescape "${line#* }"
    if [ -d "$text" ] && [ ! -L "$text" ]; then chmod "${line%% *}" -- "$text" || exit; fi
  done || exit

  while read -r key _ _ _ id reference; do
    if [ "$key" != service ]; then continue; fi
    case $reference in '' | sha256:* | *@*) continue ;; esac
    if [ "$(docker image inspect --format '{{.Id}}' "$reference" 2>/dev/null)" != "$id" ]; then
      docker image tag "$id" "$reference" || exit
    fi
  done <"$state"

  project=$(value project)
  of_project() {
    docker container ls --all --no-trunc --filter "label=com.docker.compose.project=$project" \
      --format '{{.ID}} {{.Label "com.docker.compose.service"}}'
  }
  policy_of() { sed -n "s/^service $1 [^ ]* \([^ ]*\) .*/\1/p" "$state" | head -n 1; }
  compose() {
    # The files are the words that follow; those of the state come before them.
    action=$1
    shift
    {
      value file
      echo
      for word do printf '%s\n' "$word"; done
    } | {
      set -- --project-name "$project"
      first=yes
      while IFS= read -r path && [ -n "$path" ]; do
        unescape "$path"
        # Its `.env` is there, and its relative paths start there.
        if [ -n "$first" ]; then set -- "$@" --project-directory "${text%/*}"; fi
        first=
        set -- "$@" --file "$text"
      done
      # shellcheck disable=SC2086 # options without spaces
      set -- "$@" $action
      while IFS= read -r word; do set -- "$@" "$word"; done
      # shellcheck disable=SC2046 # `docker-compose` or `docker compose`
      set -- $(value compose) "$@"
      "$@" </dev/null
    }
  }

  if [ -e "$version/begun" ]; then
    echo containers
    stop_competing_writers "$project" "$(value file | head -n 1)" || exit
    # What the version that is kept does not know.
    of_project | while read -r id service; do
      if [ -z "$(policy_of "$service")" ]; then docker container rm --force "$id" >/dev/null || exit; fi
    done || exit
    recreate=
    if [ "$(value recreate)" = yes ]; then recreate=--force-recreate; fi
    services() { sed -n "s/^service \([^ ]*\) $1 .*/\1/p" "$state" | sort -u; }
    running=$(services running) stopped=$(services stopped)
    # The failing one is not waited for: it has had its time. Services that did not run are made and not started.
    # shellcheck disable=SC2086 # names of services have no spaces
    if [ -n "$running" ]; then compose "up --detach --no-build --timeout 1 $recreate" $running >&2 || exit; fi
    # shellcheck disable=SC2086
    if [ -n "$stopped" ]; then compose "up --no-start --no-build --timeout 1 $recreate" $stopped >&2 || exit; fi
    of_project | while read -r id service; do
      policy=$(policy_of "$service")
      if [ "$(docker container inspect --format '{{.HostConfig.RestartPolicy.Name}}' "$id")" != "$policy" ]; then
        docker container update --restart "$policy" "$id" >/dev/null || exit
      fi
    done || exit

    value nolink | while IFS= read -r place; do
      unescape "$place"
      if [ -L "$text" ]; then rm -f -- "$text"; rmdir -- "${text%/*}" 2>/dev/null; fi
    done
    value link | while IFS= read -r place && IFS= read -r target; do
      unescape "${target#to }"
      target=$text
      unescape "$place"
      if [ "$(readlink "$text")" != "$target" ]; then
        mkdir -p -- "${text%/*}" && rm -f -- "$text" && ln -s -- "$target" "$text" || exit
      fi
    done || exit
    value unit | while read -r unit enabled; do
      is=$(systemctl --user is-enabled "$unit" 2>/dev/null)
      case $enabled:$is in
        enabled:enabled) ;;
        enabled:*) systemctl --user enable "$unit" || exit ;;
        disabled:enabled) systemctl --user disable "$unit" || exit ;;
      esac
    done || exit
  fi

  # What did not stay is no deployment. A version that is gone back to later was one.
  if [ "${version##*/}" != previous ]; then
    value stamp | while IFS= read -r file && IFS= read -r stamp; do
      unescape "$stamp"
      stamp=$text
      unescape "$file"
      if [ -f "$text" ] && grep -Fxq -e "$stamp" -- "$text"; then
        grep -Fxv -e "$stamp" -- "$text" >"$version/stamps"
        if [ ! -s "$version/stamps" ]; then rm -f -- "$text" || exit
        else
          # Whole or not at all, and with the mode and owner that it has.
          rm -f -- "$text.new" && cp -p -- "$text" "$text.new" && cat -- "$version/stamps" >"$text.new" && sync && mv -f -- "$text.new" "$text" || exit
        fi
      fi
    done || exit
  fi
  if [ -f "$version/record.json" ]; then cp -- "$version/record.json" "$home/record.new" && mv -f -- "$home/record.new" "$home/record.json" || exit
  else rm -f -- "$home/record.json"
  fi
  sync
  if [ "${version##*/}" = previous ]; then exit 0; fi
  if [ -z "$result" ]; then
    if [ -e "$version/begun" ] && [ "${version##*/}" != first ]; then result='rolled back'; else result=failed; fi
  fi
  note_attempt "$version" "$result" || exit

  # Nothing is left of the update. The images that the one before this has kept keep their names.
  while read -r key _ _ _ id _; do
    if [ "$key" != service ]; then continue; fi
    digest=${id#sha256:}
    if ! grep -q " $id " "$home/previous/state" 2>/dev/null; then
      docker image rm "o3r-deploy.previous:$application.$(printf %.12s "$digest")" >/dev/null 2>&1
    fi
  done <"$state"
  unit=o3r-deploy-guard-$application.service
  units=/home/oem/.config/systemd/user
  if [ -e "$units/$unit" ]; then
    rm -f -- "$units/default.target.wants/$unit" "$units/$unit"
    rmdir -- "$units/default.target.wants" "$units" "${units%/*}" "/home/oem/.config" 2>/dev/null
  fi
  # Under another name first: half of it would be no version.
  mv -- "$version" "$version.gone" && rm -rf -- "$version.gone"
  rmdir -- "$home" "${home%/*}" 2>/dev/null
  exit 0
}
