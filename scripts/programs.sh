#!/usr/bin/env bash
# Gets the programs that the tests and the lab call, where they are missing. Quick when all is there.
# Never fails: what cannot be had is named, and the test that needs it says so itself.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
. scripts/debian.sh
PATH="$PWD/.tools/bin:$PATH:/usr/sbin:/sbin"

# program:package. nsenter and setpriv come with unshare, tc with ip, ip6tables with iptables.
PROGRAMS=(
    ip:iproute2 nft:nftables iptables-nft:iptables conntrack:conntrack ethtool:ethtool
    unshare:util-linux mount:mount sysctl:procps curl:curl openssl:openssl
)
# Of these packages one file is taken and nothing installed: the packages would start servers on this machine, now or at
# its next boot, listening on every address. promtool checks what we write; node_exporter is what `make bench` compares with.
FILES=(
    promtool:prometheus
    prometheus-node-exporter:prometheus-node-exporter
)

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
