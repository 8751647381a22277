# prints what was deployed
for file in "$1"/*/history.jsonl; do
  if [ -f "$file" ]; then cat "$file"; fi
done
exit 0
