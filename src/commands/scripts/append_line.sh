# appends a line to a file
mkdir -p -- "$(dirname "$1")" && printf '%s\n' "$2" >> "$1" && sync
