# prints its words
for word do printf "%s\0" "$word"; done
