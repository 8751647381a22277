# removes what arrived in part
name=$1
while IFS= read -r directory; do
  case $directory in *\\*) directory=$(printf '%b.' "$directory") directory=${directory%.} ;; esac
  rm -rf -- "${directory:?}/$name"
done
