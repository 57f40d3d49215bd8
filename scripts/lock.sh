#!/usr/bin/env bash
# Writes requirements/*.txt from pyproject.toml: every package with its version and hashes, for every Linux and Python.
# Versions stay as they are where they still fit; `--upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."

# compile LOCK WHAT...: the index is not written down, nor anything of this machine.
compile() {
    local lock=$1
    shift
    .venv/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
        --default-index https://pypi.org/simple --no-emit-index-url --no-emit-find-links --no-annotate \
        --custom-compile-command "make lock" --output-file "requirements/$lock.txt" "$@" >/dev/null
    printf '%s: %s packages\n' "requirements/$lock.txt" "$(grep -c == "requirements/$lock.txt")"
}

compile dev pyproject.toml --extra generate --extra lab --extra otlp --extra probes --group dev "$@"
# The others are parts of it, with the same versions.
compile agent pyproject.toml --extra probes --constraint requirements/dev.txt "$@"
compile build --group build --constraint requirements/dev.txt "$@"
