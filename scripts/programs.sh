#!/usr/bin/env bash
# Gets the programs that the tests and the lab call, where they are missing. Quick when all is there.
# Never fails: what cannot be had is named, and the test that needs it says so itself.
# With `bench` as its argument also the probers that only `make bench-probes` compares with.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
. scripts/debian.sh
PATH="$PWD/.tools/bin:$PATH:/usr/sbin:/sbin"

# program:package. nsenter and setpriv come with unshare, tc with ip, ip6tables with iptables.
PROGRAMS=(
    ip:iproute2 nft:nftables iptables-nft:iptables conntrack:conntrack ethtool:ethtool
    unshare:util-linux mount:mount sysctl:procps curl:curl openssl:openssl dnsmasq:dnsmasq-base
)
# Of these packages one file is taken and nothing installed: the packages would start servers on this machine, now or at
# its next boot, listening on every address. promtool checks what we write; node_exporter is what `make bench` compares with; coturn's client asks our STUN server.
FILES=(
    promtool:prometheus
    prometheus-node-exporter:prometheus-node-exporter
    prometheus-blackbox-exporter:prometheus-blackbox-exporter
    turnutils_stunclient:coturn
)
# What these programs are linked with and a small Debian does not have: file, and the package's names since Debian 12.
LIBRARIES=(
    libevent_core-2.1.so.7:libevent-core-2.1-7:libevent-core-2.1-7t64
    libevent_extra-2.1.so.7:libevent-extra-2.1-7:libevent-extra-2.1-7t64
)
if [ "${1:-}" = bench ]; then
    PROGRAMS+=(ping:iputils-ping fping:fping)
    FILES+=(irtt:irtt prometheus-smokeping-prober:prometheus-smokeping-prober)
fi

missing=()
for entry in "${PROGRAMS[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    install_packages "${missing[@]}" || say "going on without: ${missing[*]}"
fi
for entry in "${FILES[@]}"; do
    program=${entry%%:*} package=${entry##*:}
    command -v "$program" >/dev/null || fetch_file "$package" "usr/bin/$program" .tools/bin ||
        say "going on without $program; to have it: sudo apt-get install -y --no-install-recommends $package"
done
for entry in "${LIBRARIES[@]}"; do
    IFS=: read -r library package newer <<<"$entry"
    compgen -G ".tools/lib/$library*" >/dev/null ||
        fetch_file "$package" "usr/lib/*/$library*" .tools/lib 2>/dev/null ||
        fetch_file "$newer" "usr/lib/*/$library*" .tools/lib ||
        say "going on without $library, which turnutils_stunclient needs"
done
