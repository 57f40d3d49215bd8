#!/usr/bin/env bash
# The Python environment in .venv.
#   venv.sh create           make it, with the Debian packages that takes
#   venv.sh install LOCK...   install what the locks name, and natobs itself from this directory
# PYTHON chooses the interpreter; otherwise python3, of 3.11 or later.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
. scripts/debian.sh

# usable IMPORTS: prints the first interpreter that is new enough and can import these.
usable() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3; do
        if "$candidate" -c "import sys, $1; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

create() {
    local python
    # pip of Debian's Python trusts the system's certificates, which a minimal machine lacks.
    local packages=(python3-venv)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
    if ! python=$(usable "venv, ensurepip"); then
        if install_packages "${packages[@]}"; then
            python=$(usable "venv, ensurepip") || { say "python3 here is older than 3.11, which natobs needs" && return 1; }
        else
            python=$(usable venv) || { say "no Python of 3.11 or later: cannot go on" && return 1; }
            create_without_ensurepip "$python"
            return
        fi
    fi
    say "making the Python environment .venv with $python"
    "$python" -m venv --clear .venv
}

# Debian keeps ensurepip in a package of its own. pip itself is a file in Debian's archive, and needs no root to fetch.
create_without_ensurepip() {
    say "going on without python3-venv: making .venv with $1, and pip from python3-pip-whl"
    "$1" -m venv --clear --without-pip .venv
    fetch_file python3-pip-whl 'usr/share/python-wheels/pip-*.whl' .tools/wheels || {
        rm -rf .venv
        say "cannot go on without pip"
        return 1
    }
    local wheel=(.tools/wheels/pip-*.whl)
    quietly .venv/bin/python "${wheel[0]}/pip" install --no-index "${wheel[0]}"
}

install() {
    local lock arguments=()
    for lock in "$@"; do arguments+=(--requirement "$lock"); done
    say "installing Python packages: $*"
    pip "${arguments[@]}" --require-hashes
    # hatchling is locked too: without isolation nothing is fetched that a lock does not name.
    pip --no-deps --no-build-isolation --editable .
}

pip() { quietly .venv/bin/python -m pip --disable-pip-version-check --no-input install --progress-bar off "$@"; }

case ${1-} in
    create) create ;;
    install) shift && install "$@" ;;
    *) say "usage: venv.sh create | install LOCK..." && exit 2 ;;
esac
