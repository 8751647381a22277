# notes that the containers change from now on
swap=$1
if [ -d "$swap" ]; then : >"$swap/begun" && sync || exit; fi
date +%s
