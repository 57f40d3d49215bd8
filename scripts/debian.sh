# Sourced by the other scripts: says what happens, and gets what is missing from Debian's archive.
# Knows apt and dpkg; knows nothing of Python or of what natobs needs.
# shellcheck shell=bash

say() { printf 'natobs: %s\n' "$*" >&2; }

# Runs a command without its chatter; shows it only when the command fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" </dev/null >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

# Sets the array `root` to the words that make a command run as root; fails where nobody may without a password.
become_root() {
    if [ "$(id -u)" -eq 0 ]; then
        root=(env)
    elif sudo -n true 2>/dev/null; then
        root=(sudo -n env)
    else
        return 1
    fi
}

# A repository of somebody else's that is out of reach is no reason to stop: the installation will tell.
refresh_lists() {
    say "reading Debian's package lists"
    "${root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null >/dev/null 2>&1 || true
}

have_lists() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

# install_packages PACKAGE...: as root or with sudo. Otherwise names the command, and fails.
install_packages() {
    local line="apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        say "missing, and this is no Debian: install what these Debian packages hold: $*"
        return 1
    fi
    if ! become_root; then
        say "missing, and neither root nor sudo without a password; please run: sudo $line"
        return 1
    fi
    have_lists || refresh_lists
    say "installing from Debian: $*"
    # The lists may be older than the archive: one more try with new ones.
    apt_install "$@" >/dev/null 2>&1 || { refresh_lists && quietly apt_install "$@"; } || {
        say "this failed: $line"
        return 1
    }
}

# A new machine may still be busy with its own updates: wait up to 300 s for the lock.
apt_install() {
    "${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@" </dev/null
}

# fetch_file PACKAGE PATTERN DIR: puts one file of a Debian package into DIR, without installing the package. apt checks
# the archive's signature. Works without root wherever package lists are there.
fetch_file() {
    local package=$1 pattern=$2 target=$3 scratch
    command -v apt-get >/dev/null || return 1
    if become_root && ! have_lists; then refresh_lists; fi
    scratch=$(mktemp -d)
    say "fetching from Debian: $(basename "$pattern") of $package"
    if ! download "$package" "$scratch" 2>/dev/null; then
        if become_root; then refresh_lists; fi
        quietly download "$package" "$scratch" || { rm -rf "$scratch" && return 1; }
    fi
    # One chain: set -e is off in a function that somebody asks for its success. The last pattern is meant to match.
    # shellcheck disable=SC2086
    mkdir -p "$target" &&
        dpkg-deb --fsys-tarfile "$scratch"/*.deb | tar -x -C "$scratch" --wildcards "./$pattern" &&
        cp -p "$scratch"/$pattern "$target"/ || { rm -rf "$scratch" && return 1; }
    rm -rf "$scratch"
}

# fetch_libraries PROGRAM DIR: puts the libraries that PROGRAM is linked with and this machine has not into DIR, which is
# then to be its LD_LIBRARY_PATH. What they need themselves may come to light only when they are there.
fetch_libraries() {
    local program=$1 target=$2 library package
    for _ in 1 2 3; do
        for library in $(missing_libraries "$program" "$target"); do
            package=$(package_of "$library")
            apt-cache show "$package" >/dev/null 2>&1 || package+=t64
            fetch_file "$package" "usr/lib/*/$library*" "$target" || return 1
        done
    done
    [ -z "$(missing_libraries "$program" "$target")" ]
}

missing_libraries() { LD_LIBRARY_PATH=$2 ldd "$1" 2>/dev/null | awk '/not found/ { print $1 }'; }

# Debian's rule for the name of a library's package (Policy 8.1): libpq.so.5 is in libpq5, libldap-2.5.so.0 in
# libldap-2.5-0. With 64-bit time stamps some got the ending t64.
package_of() {
    local name=${1%%.so.*} version=${1##*.so.}
    [[ $name != *[0-9] ]] || name+=-
    name=${name//_/-}$version
    printf '%s\n' "${name,,}"
}

download() { (cd "$2" && apt-get -qq download "$1" </dev/null); }
