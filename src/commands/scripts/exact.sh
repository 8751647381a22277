
# Reads an exact number of bytes from standard input, which may be a pipe. `head -c` of GNU does; others read ahead, or do not know
# the option. dd then reads as much as comes at once, never too much, and what came is counted before the rest is read.
piece=
if [ "$(printf ab | { head -c 1 >/dev/null 2>&1; cat; })" = b ]; then
    take() { head -c "$1"; }
else
    piece=$(mktemp /tmp/o3r-deploy.XXXXXX) || exit
    trap 'rm -f "$piece"' EXIT
    take() {
        left=$1
        while [ "$left" -gt 0 ]; do
            block=65536 count=$((left / 65536))
            if [ "$count" -gt 16 ]; then count=16; fi
            if [ "$count" -eq 0 ]; then block=$left count=1; fi
            dd "bs=$block" "count=$count" 2>/dev/null >"$piece"
            came=$(wc -c <"$piece") && cat "$piece" || return
            if [ "$came" -eq 0 ]; then return; fi
            left=$((left - came))
        done
    }
fi
main "$@"
