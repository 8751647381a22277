# removes a secret, and its directory when it is empty
rm -f -- "$1" && rmdir -- "${1%/*}" 2>/dev/null
exit 0
