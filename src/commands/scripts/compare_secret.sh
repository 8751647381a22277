# compares a secret with what is there: 0 the same, 3 another, 4 none
if [ ! -e "$1" ]; then exit 4; fi
if [ "$(stat -L -c %a "$1")" = 600 ] && [ "$(sha256sum <"$1")" = "$(sha256sum)" ]; then exit 0; fi
exit 3
