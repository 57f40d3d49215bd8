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
# its next boot, listening on every address. promtool checks what we write; node_exporter is what `make bench` compares
# with; a Pushgateway is pushed to; coturn's client asks our STUN server; its server and nginx are what probes are tested
# against. Prometheus and Alertmanager run in the lab's stack, amtool checks configurations of Alertmanager, and vmalert and
# victoria-metrics read the same rules.
# program:package, and the folder where it is not usr/bin.
FILES=(
    promtool:prometheus
    prometheus:prometheus
    vmalert:victoria-metrics
    victoria-metrics:victoria-metrics
    prometheus-node-exporter:prometheus-node-exporter
    prometheus-blackbox-exporter:prometheus-blackbox-exporter
    prometheus-pushgateway:prometheus-pushgateway
    turnutils_stunclient:coturn
    turnserver:coturn
    nginx:nginx:usr/sbin
)
# Those of them that are linked with more than a small Debian has.
LINKED=(turnutils_stunclient turnserver nginx)
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
    IFS=: read -r program package folder <<<"$entry"
    command -v "$program" >/dev/null || fetch_file "$package" "${folder:-usr/bin}/$program" .tools/bin ||
        say "going on without $program; to have it: sudo apt-get install -y --no-install-recommends $package"
done
# These two end without their templates.
for program in prometheus-alertmanager amtool; do
    command -v "$program" >/dev/null || {
        fetch_file prometheus-alertmanager "usr/bin/$program" .tools/libexec &&
            fetch_file prometheus-alertmanager 'usr/share/prometheus/alertmanager/*.tmpl' \
                .tools/share/prometheus/alertmanager &&
            cp scripts/with_share.sh ".tools/bin/$program"
    } || say "going on without $program; to have it: sudo apt-get install -y --no-install-recommends prometheus-alertmanager"
done
for program in "${LINKED[@]}"; do
    path=$(command -v "$program") || continue
    fetch_libraries "$path" .tools/lib || say "going on without what $program needs: $(missing_libraries "$path" .tools/lib)"
done
# Grafana's schema of dashboards, and a compiler that holds ours against it, where Node.js is there already.
if command -v npm >/dev/null && ! cmp -s tests/grafana_schema/package-lock.json .tools/grafana_schema/package-lock.json; then
    say "fetching Grafana's schema of dashboards"
    mkdir -p .tools/grafana_schema
    cp tests/grafana_schema/package.json tests/grafana_schema/package-lock.json .tools/grafana_schema/
    quietly npm ci --prefix .tools/grafana_schema --no-audit --no-fund --ignore-scripts ||
        { rm -rf .tools/grafana_schema && say "going on without Grafana's schema of dashboards"; }
fi
