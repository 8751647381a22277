# loads an image archive by way of a file that outlives a cut
main() {
    mkdir -p "$(dirname "$1")" || exit
    before=$(size "$1")
    gzip -dc | while take 4194304 >>"$1"; do
        sync
        now=$(size "$1")
        if [ "$now" = "$before" ]; then break; fi
        before=$now
    done
    if [ "$(size "$1")" != "$2" ]; then
        echo "$(size "$1") of $2 bytes arrived" >&2
        exit 1
    fi
    docker image load --quiet <"$1"
    status=$?
    rm -f "$1"
    exit "$status"
}

size() { stat -c %s "$1" 2>/dev/null || echo 0; }
