# makes room for what will arrive
name=$1
while IFS= read -r directory; do
  case $directory in *\\*) directory=$(printf '%b.' "$directory") directory=${directory%.} ;; esac
  rm -rf -- "${directory:?}/$name" && mkdir -- "$directory/$name" || exit
done
