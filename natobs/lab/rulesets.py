"""The NAT's rules as text, in nftables' language or in that of iptables-restore.

Pure: a topology in, texts and the programs that load them out. The same policy
in every language: translate what comes from a private network and goes
elsewhere; forward what is established, what starts inside, and nothing else.
Rules carry comments (``lab: ...``), which are the stable names that firewall
counters are known by. Direction is told by prefixes, never by an interface, so
the same rules serve one-armed and two-armed NATs.
"""

from dataclasses import dataclass

from natobs.lab.topology import Family, Topology

SNAT = "lab: translate"
ESTABLISHED = "lab: established"
FROM_INSIDE = "lab: from inside"
DENY = "lab: deny"

_NFT_FAMILY: dict[Family, str] = {4: "ip", 6: "ip6"}


@dataclass(frozen=True)
class Ruleset:
    """A text and the program that loads it from its standard input."""

    command: tuple[str, ...]
    text: str


def rulesets(topology: Topology) -> tuple[Ruleset, ...]:
    """Give the rulesets of the topology's NAT, in the order in which they are loaded."""
    backend = topology.nat.backend
    if backend == "nftables":
        return (Ruleset(("nft", "-f", "-"), _nftables(topology)),)
    suffix = backend.removeprefix("iptables-")
    return tuple(
        Ruleset((f"{'iptables' if family == 4 else 'ip6tables'}-{suffix}-restore",), _iptables(topology, family))  # noqa: PLR2004  an IP version
        for family in topology.families
    )


def established(states: str = "established,related") -> str:
    """Give the rule, in nftables' language, that lets answers through; with other states it is a wrong one."""
    return f'ct state {states} counter accept comment "{ESTABLISHED}"'


def _nftables(topology: Topology) -> str:
    lines: list[str] = []
    for family in topology.families:
        ip = _NFT_FAMILY[family]
        inside = f"{{ {', '.join(topology.inside(family))} }}"
        lines += [
            f"table {ip} nat {{",
            "    chain postrouting {",
            "        type nat hook postrouting priority srcnat; policy accept;",
            *(
                f'        {ip} saddr {inside} {ip} daddr != {inside} {rule} comment "{SNAT}"'
                for rule in _nft_translations(topology, family)
            ),
            "    }",
            "}",
        ]
    lines += [
        "table inet filter {",
        "    chain forward {",
        "        type filter hook forward priority filter; policy drop;",
        f"        {established()}",
        *(
            f"        {_NFT_FAMILY[family]} saddr {{ {', '.join(topology.inside(family))} }} counter accept"
            f' comment "{FROM_INSIDE} v{family}"'
            for family in topology.families
        ),
        f'        counter drop comment "{DENY}"',
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _nft_translations(topology: Topology, family: Family) -> list[str]:
    nat = topology.nat
    flag = " fully-random" if nat.fully_random else ""
    ports = "" if nat.ports is None else f":{nat.ports[0]}-{nat.ports[1]}"
    if nat.addresses == 1:
        bare, ranged = "masquerade", f"masquerade to {ports}"
    else:
        addresses = topology.snat_addresses(family)
        first, last = addresses[0], addresses[-1]
        bare = f"snat to {first}-{last}"
        ranged = f"snat to [{first}]-[{last}]{ports}" if ":" in first else f"{bare}{ports}"
    if not ports:
        return [f"counter {bare}{flag}"]
    # nft takes a port range only after a match on the transport protocol; the rest (ICMP) is translated without one
    return [f"meta l4proto {{ tcp, udp }} counter {ranged}{flag}", f"counter {bare}{flag}"]


def _iptables(topology: Topology, family: Family) -> str:
    inside = topology.inside(family)
    lines = ["*nat", ":POSTROUTING ACCEPT [0:0]"]
    lines += [f'-A POSTROUTING -d {network} -m comment --comment "lab: stays inside" -j RETURN' for network in inside]
    lines += [
        f'-A POSTROUTING -s {network}{match} -m comment --comment "{SNAT}" -j {target}'
        for network in inside
        for match, target in _iptables_translations(topology, family)
    ]
    lines += ["COMMIT", "*filter", ":FORWARD DROP [0:0]"]
    lines += [
        f'-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "{ESTABLISHED}" -j ACCEPT',
        *(f'-A FORWARD -s {network} -m comment --comment "{FROM_INSIDE}" -j ACCEPT' for network in inside),
        f'-A FORWARD -m comment --comment "{DENY}" -j DROP',
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def _iptables_translations(topology: Topology, family: Family) -> list[tuple[str, str]]:
    nat = topology.nat
    flag = " --random-fully" if nat.fully_random else ""
    ports = "" if nat.ports is None else f"{nat.ports[0]}-{nat.ports[1]}"
    if nat.addresses == 1:
        bare, ranged = "MASQUERADE", f"MASQUERADE --to-ports {ports}"
    else:
        addresses = topology.snat_addresses(family)
        bare = f"SNAT --to-source {addresses[0]}-{addresses[-1]}"
        bracketed = f"[{addresses[0]}-{addresses[-1]}]" if ":" in addresses[0] else f"{addresses[0]}-{addresses[-1]}"
        ranged = f"SNAT --to-source {bracketed}:{ports}"
    if not ports:
        return [("", bare + flag)]
    return [(" -p tcp", ranged + flag), (" -p udp", ranged + flag), ("", bare + flag)]
