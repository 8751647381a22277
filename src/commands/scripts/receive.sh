# loads an image archive by way of files that outlive a cut
main() {
    mkdir -p "$1" || exit
    gzip -dc | segments "$1"
    if [ "$(arrived "$1")" != "$2" ]; then
        echo "$(arrived "$1") of $2 bytes arrived" >&2
        exit 1
    fi
    # From here on the connection is no longer needed.
    trap '' HUP PIPE
    echo "$$" >"$1/loading"
    # Each segment goes as docker's own copy of it comes: the disk never holds the archive twice.
    for segment in "$1"/[0-9]*; do
        cat "$segment" || break
        rm -f "$segment"
    done | docker image load --quiet || exit
    echo yes >"$1/loaded"
}

# Cuts standard input into segments of 4 MiB behind those that are there, each flushed before it has its name.
segments() {
    number=0
    while [ -e "$1/$(printf '%08d' "$number")" ]; do number=$((number + 1)); done
    while take 4194304 >"$1/part.$$" && [ -s "$1/part.$$" ]; do
        sync
        mv "$1/part.$$" "$1/$(printf '%08d' "$number")" || exit
        number=$((number + 1))
    done
    rm -f "$1/part.$$"
}

arrived() {
    find "$1" -type f -name '[0-9]*' -exec stat -c %s {} + | {
        sum=0
        while read -r size; do sum=$((sum + size)); done
        echo "$sum"
    }
}
