
# Reads an exact number of bytes from standard input. `head -c` of GNU does; where it reads ahead, dd must know `fullblock`.
if [ "$(printf ab | { head -c 1 >/dev/null; cat; })" = b ]; then
    take() { head -c "$1"; }
elif [ "$(printf ab | { dd bs=1 count=1 iflag=fullblock >/dev/null 2>&1; cat; })" = b ]; then
    take() {
        if [ "$1" -ge 1048576 ]; then dd bs=1048576 "count=$(($1 / 1048576))" iflag=fullblock 2>/dev/null; fi
        if [ "$(($1 % 1048576))" -gt 0 ]; then dd "bs=$(($1 % 1048576))" count=1 iflag=fullblock 2>/dev/null; fi
    }
else
    echo "neither head nor dd reads an exact number of bytes here" >&2
    exit 1
fi
main "$@"
