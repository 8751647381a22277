# says how much of an image archive has arrived, or that it is loaded
loader=$(cat "$1/loading" 2>/dev/null)
# What had arrived when the connection was cut is still being loaded.
waited=0
while [ -n "$loader" ] && grep -q "$1" "/proc/$loader/cmdline" 2>/dev/null; do
    waited=$((waited + 1))
    if [ "$waited" -gt 600 ]; then
        echo "docker has been loading what arrived before for more than 10 minutes" >&2
        exit 1
    fi
    sleep 1
done
if [ -e "$1/loaded" ]; then
    echo loaded
    exit
fi
rm -f "$1/loading" "$1"/part.*
count=0
# A segment that is not whole is the last of a stream that was cut, and whatever lies behind a gap is of no use.
for segment in "$1"/[0-9]*; do
    if [ "$segment" = "$1/$(printf '%08d' "$count")" ] && [ "$(stat -c %s "$segment")" = 4194304 ]; then
        count=$((count + 1))
    else
        rm -f "$segment"
    fi
done
echo "$((count * 4194304))"
