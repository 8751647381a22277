# says how much of a file has arrived
stat -c %s "$1" 2>/dev/null || echo 0
