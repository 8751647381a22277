#!/usr/bin/env bash
# Makes python_app.tar: the image python_app:1.0 for arm64, in the format of `docker save`.
#
#   build.sh [--docker | --packages] [--refresh]
#
# With docker, its buildx plugin and the registry at hand, the Dockerfile is built. Otherwise the same application is put
# on Debian's (or Ubuntu's) arm64 packages; that needs apt-get, dpkg-deb and python3, but neither docker, root nor an
# emulator. --docker and --packages allow only the one way; --refresh looks for newer packages.
# Downloads and layers are kept in build/ beside this file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

image=python_app:1.0
archive=python_app.tar
way=any
refresh=()
for argument in "$@"; do
    case $argument in
        --docker) way=docker ;;
        --packages) way=packages ;;
        --refresh) refresh=(--refresh) ;;
        *)
            echo "usage: ${0##*/} [--docker | --packages] [--refresh]" >&2
            exit 2
            ;;
    esac
done

with_docker() {
    echo "building $archive ($image, arm64) with docker from the Dockerfile"
    mkdir -p build
    docker buildx build --platform linux/arm64 --provenance=false --tag "$image" \
        --output "type=docker,dest=build/$archive" . && mv "build/$archive" "$archive"
}

with_packages() {
    local missing=() program list
    for program in apt-get:apt dpkg-deb:dpkg python3:python3; do
        command -v "${program%%:*}" >/dev/null || missing+=("${program%%:*} (package ${program##*:})")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        printf 'error: this computer lacks %s\n' "${missing[@]}" >&2
        echo "hint: install what is missing, or build with docker: ${0##*/} --docker" >&2
        return 1
    fi
    echo "building $archive ($image, arm64) from Debian packages (about 20 MB of downloads at first, kept in $PWD/build)"
    # dpkg and awk serve the installation of packages only, and nothing is installed in the image.
    list=$(./fetch_arm64_packages.sh "${refresh[@]}" --assume dpkg --assume awk build/packages \
        base-files busybox-static python3-minimal)
    mapfile -t packages <<<"$list"
    ./assemble_image.py --dockerfile Dockerfile --tag "$image" --output "$archive" --cache build/layers "${packages[@]}"
}

if [ $way != packages ]; then
    if docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
        if with_docker; then
            exit
        fi
        why="docker could not build the Dockerfile"
    else
        why="docker with buildx is not at hand"
    fi
    if [ $way = docker ]; then
        echo "error: $why" >&2
        exit 1
    fi
    echo "$why: building from packages instead"
fi
with_packages
