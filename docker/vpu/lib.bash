# What the scripts of this folder share; sourced, not run.

VPU_FOLDER=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
DEFAULT_ADDRESS=127.0.0.69
# A boot takes a few seconds; a busy machine may need many more.
READY_SECONDS=${VPU_READY_SECONDS:-120}

say() { printf 'vpu: %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root" "run it with sudo"; }

install_package() {
    need_root "installing the package $1"
    command -v apt-get >/dev/null || die "$1 is missing and there is no apt-get to install it"
    say "installing the package $1 ($2)"
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1" >/dev/null 2>&1; then
        apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 || true
        apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1" >&2 ||
            die "the package $1 could not be installed"
    fi
}

hash_of() { LC_ALL=C sha256sum | cut -c1-12; }

# "mirror|keyring" of the first source of Debian's own main component that apt has.
debian_source() {
    local lines mirror entry keyring
    # shellcheck disable=SC2016
    lines=$(apt-get indextargets --format '$(CREATED_BY)|$(LABEL)|$(COMPONENT)|$(REPO_URI)|$(SOURCESENTRY)' |
        sed -n 's/^Packages|Debian|main|//p')
    [ -n "$lines" ] || return 1
    IFS='|' read -r mirror entry <<<"$lines"
    # The entry is "file:number"; the file is of the new form (Signed-By: …) or the old ([signed-by=…]).
    keyring=$(sed -n -e 's/^Signed-By: *\(\/[^ ,]*\).*/\1/p' -e 's/^deb .*signed-by=\(\/[^] ,]*\).*/\1/p' "${entry%:*}" | sed -n 1p)
    printf '%s|%s\n' "${mirror%/}" "$keyring"
}

# The name of its network, too.
container_of() { printf 'vpu-%s\n' "$1"; }

check_address() {
    case $1 in
        127.*) ;;
        *) die "\`$1\` is no loopback address" "take one of 127.0.0.0/8, such as $DEFAULT_ADDRESS" ;;
    esac
    local number='(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])'
    [[ $1 =~ ^$number(\.$number){3}$ ]] || die "\`$1\` is no IPv4 address"
}

# Sets DOCKER_HOST to an engine that answers; starts one if none does.
use_engine() {
    local line
    line=$("$VPU_FOLDER/../engine") || exit 1
    eval "$line"
}

exists() { docker container inspect "$1" >/dev/null 2>&1; }

# What tells one boot from the next: the moment the container was started.
boot_of() { docker container inspect --format '{{.State.StartedAt}}' "$1"; }

need_container() {
    exists "$(container_of "$1")" || die "there is no virtual VPU at $1" "docker/vpu/up --address $1 starts one"
}

# Both in a subshell: writing to a connection that was cut would end the shell by a signal.
ssh_answers() (
    exec 3<>"/dev/tcp/$1/22" && IFS= read -r -t 2 banner <&3 && [[ $banner == SSH-2.0-* ]]
) 2>/dev/null

# The device's own word: it says OPERATE once sshd, oem's user manager and docker are up. By its name of the user agent,
# this question stays out of the device's log of calls.
operates() (
    body='<?xml version="1.0"?><methodCall><methodName>get</methodName><params><param><value><array><data><value><string>/device/status</string></value></data></array></value></param></params></methodCall>'
    exec 3<>"/dev/tcp/$1/80" || exit 1
    printf 'POST /api/rpc/v1/com.ifm.efector/ HTTP/1.0\r\nUser-Agent: vpu-wait\r\nContent-Type: text/xml\r\nContent-Length: %s\r\n\r\n%s' \
        "${#body}" "$body" >&3
    # Only until the value is there: the server may keep the connection open.
    while IFS= read -r -t 3 line <&3; do
        [[ $line != *OPERATE* ]] || exit 0
    done
    exit 1
) 2>/dev/null

# wait_ready ADDRESS [BOOT]: until the VPU answers, in another boot than BOOT if one is given.
wait_ready() {
    local address=$1 boot=${2:-} name deadline=$((SECONDS + READY_SECONDS)) state=
    name=$(container_of "$address")
    while :; do
        state=$(docker container inspect --format '{{.State.Status}}' "$name" 2>/dev/null) ||
            die "the virtual VPU at $address is gone"
        if [ "$state" = running ] && { [ -z "$boot" ] || [ "$(boot_of "$name")" != "$boot" ]; } &&
            operates "$address" && ssh_answers "$address"; then
            return
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            docker logs --tail 20 "$name" >&2 || true
            die "the virtual VPU at $address is not ready after $READY_SECONDS seconds (container: $state)" \
                "docker/vpu/exec --address $address -- journalctl -b says more"
        fi
        sleep 0.1
    done
}
