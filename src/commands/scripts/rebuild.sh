# loads an image archive that is put together from an image here and what arrives
main() {
    exec 4<&0
    piece=${piece-}
    container=o3r-deploy.base.$1
    # One of that name was left by a cut.
    create "$2" >/dev/null 2>&1 || { clear; create "$2" >/dev/null || exit; }
    trap 'clear; rm -f "$piece"' EXIT
    trap 'exit 129' HUP INT TERM
    shift 2
    contents "$@" | {
        exec 3<&0
        gzip -dc <&4 | steps | docker image load --quiet 3<&- 4<&-
    }
}

create() { docker container create --name "$container" --label o3r-deploy.base --network none "$1" -; }
clear() { docker container rm --force --volumes "$container" >/dev/null; }

# The contents of all files below some paths, one after the other.
contents() {
    for path; do
        docker container cp "$container:$path" - 4<&- | tar -xOf - 4<&-
    done
}

# Each step skips and copies bytes of the contents, and inserts bytes that arrive.
steps() {
    while read -r skip copy insert; do
        if [ "$skip" -gt 0 ]; then take "$skip" <&3 >/dev/null || exit; fi
        if [ "$copy" -gt 0 ]; then take "$copy" <&3 || exit; fi
        if [ "$insert" -gt 0 ]; then take "$insert" || exit; fi
    done
}
