# What scripts/demo and scripts/check share; sourced, not run. Both begin with `begin`.

PROJECT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\n== %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

# begin SCRIPT ARGUMENT…: becomes root by sudo where it is not, and finds out whose checkout this is: with sudo, everything
# that needs no root is done as the user who called, so that no file of theirs comes to belong to root.
begin() {
    local kept=() name
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "this installs packages and starts containers, which needs root" "run it as root"
        echo "This installs packages and starts containers, which needs root: going on with sudo." >&2
        for name in PATH CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN CARGO_TARGET_DIR CI TERM LANG O3R_TEST_BASE \
            http_proxy https_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR "${!PIP_@}"; do
            [ -z "${!name:-}" ] || kept+=("$name=${!name}")
        done
        exec sudo -- env "${kept[@]}" "$@"
    fi
    OWNER=$(id -un) OWNER_HOME=$HOME
    # As root on a checkout of root's own, everything is root's.
    if [ -n "${SUDO_USER:-}" ] && [ "$(stat -c %u "$PROJECT")" != 0 ]; then
        OWNER=$SUDO_USER
        OWNER_HOME=$(getent passwd "$OWNER" | cut -d: -f6)
    fi
    # `sudo scripts/…` has root's environment; cargo and rustup are the user's.
    export CARGO_HOME=${CARGO_HOME:-$OWNER_HOME/.cargo}
    [ ! -d "$OWNER_HOME/.rustup" ] || export RUSTUP_HOME=${RUSTUP_HOME:-$OWNER_HOME/.rustup}
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PROJECT/target}
    # First the programs that are installed into the target folder, at the end those of the user and of the administrator.
    export PATH=$CARGO_TARGET_DIR/tools/bin:$PATH:$CARGO_HOME/bin:/usr/sbin:/sbin
    umask 022
    cd "$PROJECT" || exit 1
    as_owner mkdir -p "$CARGO_TARGET_DIR"
    trap hand_back EXIT
}

# Runs a command as the user whose checkout this is.
as_owner() {
    if [ "$OWNER" = "$(id -un)" ]; then "$@"; else runuser -u "$OWNER" -- env HOME="$OWNER_HOME" "$@"; fi
}

# What root has written into the checkout becomes the user's.
hand_back() {
    if [ "$OWNER" != "$(id -un)" ]; then
        find "$PROJECT" "$CARGO_TARGET_DIR" -xdev -user root -exec chown -h "$OWNER:" {} + 2>/dev/null || true
    fi
}

# install PROGRAM=PACKAGE…: installs, with apt, the packages whose program (or file) is missing, and says so first.
install() {
    local entry packages=()
    for entry in "$@"; do
        [[ $entry == /* && -e ${entry%%=*} ]] || command -v "${entry%%=*}" >/dev/null || packages+=("${entry#*=}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "missing: ${packages[*]}, and there is no apt-get to install them" "install them by hand"
    say "installing with apt: ${packages[*]}"
    apt_get update || true
    apt_get install -y --no-install-recommends "${packages[@]}" || die "apt could not install ${packages[*]}"
}

# The program sshd for tests. Its service, which would open this computer to the network and take port 22 of the virtual VPUs,
# stays off.
install_sshd() {
    local policy=/usr/sbin/policy-rc.d ours=no failed=no
    [ ! -e /usr/sbin/sshd ] || return 0
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    say "the program sshd is needed, not its service, which stays off"
    (install /usr/sbin/sshd=openssh-server) || failed=yes
    [ $ours = no ] || rm -f "$policy"
    [ $failed = no ] || exit 1
    if [ -d /run/systemd/system ]; then systemctl --quiet disable --now ssh.service ssh.socket 2>/dev/null || true; fi
}

# What apt says is shown where it fails.
apt_get() {
    local said
    said=$(DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null 2>&1) || {
        printf '%s\n' "$said" >&2
        return 1
    }
}

need_cargo() {
    as_owner cargo --version >/dev/null 2>&1 || die "there is no Rust toolchain for the user $OWNER" "https://rustup.rs"
}

# Whether a docker engine answers.
engine_runs() { "$PROJECT/docker/engine" status >/dev/null 2>&1; }
