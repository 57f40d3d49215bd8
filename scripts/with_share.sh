#!/bin/sh
# Copied to .tools/bin/PROGRAM: runs .tools/libexec/PROGRAM with .tools/share laid over /usr/share, where Debian's program
# looks for its templates. Only this process sees it, in a mount namespace of its own; nothing of the machine is changed.
set -eu
tools=$(dirname "$(dirname "$(readlink -f "$0")")")
program=$tools/libexec/$(basename "$0")
user=
[ "$(id -u)" -eq 0 ] || user='--user --map-root-user'
# shellcheck disable=SC2086,SC2016
exec unshare $user --mount -- sh -c 'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"' \
    "$tools/share" "$program" "$@"
