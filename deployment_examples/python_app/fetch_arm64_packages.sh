#!/usr/bin/env bash
# Downloads arm64 Debian or Ubuntu packages with all that they depend on, and installs nothing.
#
#   fetch_arm64_packages.sh [--refresh] [--assume NAME]… DIR PACKAGE…
#
# The .deb files go to DIR; their paths are printed on stdout, one a line, everything else on stderr. A second call with
# the same words prints the same paths without asking the network; --refresh looks for newer versions. --assume NAME
# leaves out a dependency that is not needed, and what only that one needs.
#
# It uses the host's package sources and keyrings, but lists, cache and architecture of its own in DIR/.apt: the host's
# dpkg and apt stay as they are. Root is not needed. Where the sources do not have arm64, name a mirror that does:
#   ARM64_MIRROR=http://HOST/PATH
set -euo pipefail

usage() {
    echo "usage: ${0##*/} [--refresh] [--assume NAME]… DIR PACKAGE…" >&2
    exit 2
}

refresh=no
assumed=()
while [ $# -gt 0 ]; do
    case $1 in
        --refresh) refresh=yes ;;
        --assume) [ $# -ge 2 ] || usage; assumed+=("$2"); shift ;;
        -*) usage ;;
        *) break ;;
    esac
    shift
done
[ $# -ge 2 ] || usage
command -v apt-get >/dev/null || {
    echo "error: apt-get is missing: this way needs Debian or Ubuntu" >&2
    exit 1
}

mkdir -p "$1"
directory=$(cd "$1" && pwd)
shift
apt=$directory/.apt
mkdir -p "$apt/lists/partial" "$directory/partial" "$apt/parts" "$apt/sources.d" "$apt/nothing/partial"

# Two calls at the same time take turns.
if command -v flock >/dev/null; then
    exec 9>"$apt/lock"
    flock 9
fi

# What an earlier call with the same words fetched.
request=$(printf '%s\n' "${assumed[@]/#/-}" "$@" | cksum | tr ' ' _)
list=$apt/$request.packages
print_paths() {
    local name
    while IFS= read -r name; do
        [ -f "$directory/$name" ] || return 1
        printf '%s\n' "$directory/$name"
    done <"$list"
}
if [ $refresh = no ] && [ -f "$list" ] && paths=$(print_paths); then
    printf '%s\n' "$paths"
    exit
fi

# The distribution's own sources only; what else the host may use seldom has arm64.
# shellcheck source=/dev/null
. /etc/os-release
codename=${UBUNTU_CODENAME:-${VERSION_CODENAME:-}}
choose_sources() { # choose_sources SUITE_PATTERN
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        # `deb [options] URI SUITE COMPONENT…` without a limit to other architectures
        sed -nE 's/[[:space:]]+/ /g; s/ ?arch[+-]?=[^] ]*//g; s/^ //; /^deb /p' "$file" |
            awk -v suite="^($1)\$" '{ line = $0; sub(/ \[[^]]*\]/, ""); if ($3 ~ suite) print line }'
    done >"$apt/sources.list"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        awk -v suite="(^|\n)Suites:([^\n]*[ \t])?($1)([ \t\n]|\$)" '
            BEGIN { RS = ""; ORS = "\n\n" }
            /(^|\n)Enabled:[ \t]*no/ || !/(^|\n)Types:([^\n]*[ \t])?deb([ \t\n]|$)/ { next }
            $0 ~ suite { gsub(/\nArchitectures:[^\n]*/, ""); print }
        ' "$file"
    done >"$apt/sources.d/host.sources"
    [ -s "$apt/sources.list" ] || [ -s "$apt/sources.d/host.sources" ]
}
choose_sources "$codename([-/](updates|security))?" || choose_sources '[^ \t\n]+' || {
    echo "error: no package sources in /etc/apt/sources.list and /etc/apt/sources.list.d" >&2
    exit 1
}
machine=$(uname -m)
if [ -n "${ARM64_MIRROR:-}" ]; then
    sed -i -E "s#https?://[^] ]+#${ARM64_MIRROR//[\\#&]/\\&}#" "$apt/sources.list" "$apt/sources.d/host.sources"
elif [ "$machine" = x86_64 ] && [[ " ${ID:-} ${ID_LIKE:-} " == *" ubuntu "* ]]; then
    # Ubuntu keeps all but x86 on a server of its own, beside the others.
    sed -i -E 's#https?://([^/ ]+\.)?([^./ ]+\.[^./ ]+)/ubuntu/?( |$)#http://ports.\2/ubuntu-ports/\3#g' \
        "$apt/sources.list" "$apt/sources.d/host.sources"
fi

# Nothing is installed in this world but what is assumed.
for name in "${assumed[@]}"; do
    printf 'Package: %s\nStatus: install ok installed\nVersion: 9999\nArchitecture: arm64\nMaintainer: nobody\nDescription: assumed\n\n' "$name"
done >"$apt/status"

# Of the host's settings only those for the way to the network.
apt-config dump | grep -E '^Acquire::(http|https|ftp|Check-|Max-|Min-|ForceIPv|Retries|AllowInsecure)' >"$apt/acquire" || true
cat "$apt/acquire" - >"$apt/apt.conf" <<CONFIGURATION
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::State::extended_states "$apt/extended_states";
Dir::Cache "$apt";
Dir::Cache::archives "$directory";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "$apt";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "$apt/parts";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/sources.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$apt/parts";
Debug::NoLocking "true";
CONFIGURATION
export APT_CONFIG=$apt/apt.conf

echo "fetching for arm64: $*" >&2
# A source that does not answer is no harm as long as the packages are found.
apt-get -qq update >&2 || true
# Against an empty archive directory apt names every file, not only the missing ones.
if ! apt-get -qq install --print-uris -o Dir::Cache::archives="$apt/nothing" "$@" >"$apt/uris"; then
    echo "error: no arm64 packages for: $*; if the messages above tell of a missing index, name a mirror in ARM64_MIRROR" >&2
    exit 1
fi
apt-get -qq install --download-only "$@" >&2
awk '$1 ~ /^\047/ { print $2 }' "$apt/uris" >"$list.new"
mv "$list.new" "$list"
print_paths || {
    echo "error: apt-get did not fetch all of: $(tr '\n' ' ' <"$list")" >&2
    rm -f "$list"
    exit 1
}
