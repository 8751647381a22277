# prints the record of an application
if [ -f "$1" ]; then cat -- "$1"; fi
