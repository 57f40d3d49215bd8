"""All that is configured in a lab, for comparison: what was broken and healed must be as it was."""

from collections import Counter

from natobs.lab.lab import Lab

_SHOW = (
    # link layer addresses and indexes are part of it; the state of a bridge, and counters, are not
    *(f"ip -{family} -o address; ip -{family} route show table all; ip -{family} rule" for family in (4, 6)),
    "ip -o link | sed 's/ state [A-Z]*//'",
    "tc qdisc show",
    # what natobs itself counts grows; the NAT's rules do not
    "nft -s list ruleset | sed '/^table inet natobs /,/^}/d'",
    "iptables-legacy-save | sed '/^[#:]/d'",
    "cd /proc/sys/net; cat ipv4/ip_forward ipv6/conf/all/forwarding; grep . ipv4/conf/*/rp_filter ipv4/conf/*/accept*",
    "conntrack -L 2>/dev/null | grep mark=7102818 | head -n 3",
)


def shape(lab: Lab) -> Counter[str]:
    """What the hosts of a lab say of their links, addresses, routes, queues, rules and settings, by line."""
    text = "\n".join(_SHOW)
    return Counter(
        f"{name}: {line}"
        for name in (*lab.topology.hosts, "switch")
        for line in lab.host(name).run(["sh", "-c", f"({text}) 2>&1"], check=False).stdout.splitlines()
    )


def differences(before: Counter[str], after: Counter[str]) -> list[str]:
    """Lines that are missing, and lines that are new."""
    return [*(f"- {line}" for line in before - after), *(f"+ {line}" for line in after - before)]
