# gives files as tar archives
# GNU's tar takes a backslash in a name for the start of an escape unless it is told not to; busybox's never does.
verbatim=
if tar --no-unquote --version >/dev/null 2>&1; then verbatim=--no-unquote; fi
exec xargs -0 tar -c -h $verbatim -f - -C /
