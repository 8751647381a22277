# writes a file
mkdir -p -- "$(dirname "$1")" && printf '%s' "$2" > "$1.new" && sync && mv -f -- "$1.new" "$1"
