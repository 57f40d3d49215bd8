"""From a topology to everything that has to be done: namespaces, links, addresses, routes, sysctls and rules.

Pure. The wiring is written as lines of ``ip -batch``, so that a plan can be
read, compared in a test, and repeated by hand. Nothing in a plan belongs to the
host: every sysctl is one that each network namespace has for itself, and
``nf_conntrack_max``, which only the initial namespace may set, never appears.

How the hosts are joined::

    two-armed   client1 client2 ... == switch == (eth1..) nat (eth0) -- (eth0) internet
    one-armed   client1 client2 ... == switch == (lan1..) router (inet0) -- (eth0) internet
                                                    (nat0) -- (eth0) nat

The router of a one-armed lab does what a cloud's route tables do: what comes
from a private subnet and is not for another one goes to the NAT; what the NAT
sends goes to the internet.
"""

from dataclasses import dataclass

from natobs.lab.rulesets import Ruleset, rulesets
from natobs.lab.topology import Family, Topology, nth, prefix_length

PREFIX = "natobs-"
"""What every namespace of every lab is called first, so that leftovers can be recognised."""

SWITCH = "switch"
"""Name of the namespace whose bridges are the private subnets."""

_MONITOR_MEGABYTES = 1024  # a time-series database of many hours

_FROM_SUBNETS = 100  # number of the router's table for packets from the private subnets; any but 253 to 255 would do


@dataclass(frozen=True)
class HostPlan:
    """One namespace: its sysctls (path below /proc/sys, value), its lines of ``ip -batch``, and its rulesets.

    Lines of ``ip rule`` are apart, because they do not tell their family: ``rules4`` and ``rules6``.
    """

    name: str
    sysctls: tuple[tuple[str, str], ...]
    ip: tuple[str, ...]
    rules4: tuple[str, ...] = ()
    rules6: tuple[str, ...] = ()
    rulesets: tuple[Ruleset, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A lab ready to be built.

    Args:
        lab: its name.
        links: the lines of ``ip -batch`` that join the hosts.
        hosts: the hosts.
        run_megabytes: the most that its /run may hold, in memory; unused space takes none.
    """

    lab: str
    links: tuple[str, ...]
    hosts: tuple[HostPlan, ...]
    run_megabytes: int = 64


def namespace(lab: str, host: str) -> str:
    """Give the name of a host's network namespace."""
    return f"{PREFIX}{lab}-{host}"


def plan(topology: Topology) -> Plan:
    """Work out everything that builds the topology."""
    hosts = [_client(topology, client) for client in topology.clients]
    hosts.append(_nat(topology))
    if topology.nat.arms == 1:
        hosts.append(_router(topology))
    hosts += [_internet(topology), _switch(topology)]
    links = tuple(_links(topology))
    if not topology.monitor:
        return Plan(topology.name, links, tuple(hosts))
    return Plan(topology.name, links, (*hosts, _monitor(topology)), run_megabytes=_MONITOR_MEGABYTES)


def programs(topology: Topology) -> tuple[str, ...]:
    """Name the programs that building this topology needs besides those that every lab needs."""
    return tuple(ruleset.command[0] for ruleset in rulesets(topology))


def _gateway(topology: Topology) -> tuple[str, tuple[str, ...]]:
    """Give the host that is the subnets' gateway, and its interface for each subnet."""
    count = range(1, len(topology.subnets) + 1)
    if topology.nat.arms == 1:
        return "router", tuple(f"lan{number}" for number in count)
    return "nat", tuple(f"eth{number}" for number in count)


def _links(topology: Topology) -> list[str]:
    gateway, devices = _gateway(topology)
    pairs = [(client, "eth0", SWITCH, client) for client in topology.clients]
    pairs += [(gateway, device, SWITCH, f"gateway{number}") for number, device in enumerate(devices, 1)]
    if topology.nat.arms == 1:
        pairs += [("nat", "eth0", "router", "nat0"), ("internet", "eth0", "router", "inet0")]
    else:
        pairs.append(("nat", "eth0", "internet", "eth0"))
    # Indexes are unique in the whole lab. Were both ends of a pair number 2 of their namespaces, the kernel would take
    # each for a link without a peer and put off its becoming usable by up to 1 s (linkwatch_urgent_event, *measured*).
    return [
        f"link add {device} index {2 * number} netns {namespace(topology.name, host)} type veth"
        f" peer name {peer_device} index {2 * number + 1} netns {namespace(topology.name, peer)}"
        for number, (host, device, peer, peer_device) in enumerate(pairs, 1)
    ]


def _sysctls(topology: Topology, *, forwarding: bool) -> tuple[tuple[str, str], ...]:
    """Sysctls of one namespace. ``default`` is set before any link exists, so that links take it over."""
    forward = "1" if forwarding else "0"
    keys = [
        ("net/ipv4/ip_forward", forward),
        ("net/ipv4/ping_group_range", "0 0"),  # in a user namespace only group 0 is mapped
    ]
    for scope in ("all", "default"):
        keys += [
            (f"net/ipv4/conf/{scope}/rp_filter", "0"),
            # a one-armed NAT forwards out of the interface that a packet came in by; it must not advise against it
            (f"net/ipv4/conf/{scope}/send_redirects", "0"),
            (f"net/ipv4/conf/{scope}/accept_redirects", "0"),
            (f"net/ipv6/conf/{scope}/disable_ipv6", "0" if topology.ipv6 else "1"),
        ]
    if topology.ipv6:
        keys.append(("net/ipv6/conf/all/forwarding", forward))
        for scope in ("all", "default"):
            # addresses are usable at once: nobody else is on these links, so there is nothing to detect
            keys += [(f"net/ipv6/conf/{scope}/accept_dad", "0"), (f"net/ipv6/conf/{scope}/accept_ra", "0")]
    return tuple(keys)


def _address(network: str, number: int, device: str) -> str:
    return f"address add {nth(network, number)}/{prefix_length(network)} dev {device}{_nodad(network)}"


def _nodad(address: str) -> str:
    return " nodad" if ":" in address else ""


def _route(destination: str, via: str) -> str:
    return f"route add {destination} via {via}"


def _up(*devices: str) -> list[str]:
    return [f"link set {device} up" for device in ("lo", *devices)]


def _client(topology: Topology, client: str) -> HostPlan:
    subnet = topology.subnets[topology.client_subnet(client)]
    lines = _up("eth0")
    for family in topology.families:
        network = subnet.network(family)
        address = topology.client_address(client, family)
        lines.append(f"address add {address}/{prefix_length(network)} dev eth0{_nodad(address)}")
        lines.append(_route("default", nth(network, 1)))
    return HostPlan(client, _sysctls(topology, forwarding=False), tuple(lines))


def _nat(topology: Topology) -> HostPlan:
    two_arms = topology.nat.arms == 2  # noqa: PLR2004  the number of arms is its name
    inside = _gateway(topology)[1] if two_arms else ()
    lines = _up("eth0", *inside)
    for family in topology.families:
        outside = topology.outside_network(family)
        lines += [
            f"address add {address}/{prefix_length(outside)} dev eth0{_nodad(address)}"
            for address in topology.snat_addresses(family)
        ]
        lines += [
            _address(network, 1, device)
            for network, device in zip(topology.inside(family), inside, strict=False)  # one-armed: none
        ]
        lines.append(_route("default", nth(outside, 1)))
    return HostPlan("nat", _sysctls(topology, forwarding=True), tuple(lines), rulesets=rulesets(topology))


def _router(topology: Topology) -> HostPlan:
    _, devices = _gateway(topology)
    lines = _up("nat0", "inet0", *devices)
    rules: dict[Family, list[str]] = {4: [], 6: []}
    for family in topology.families:
        networks = topology.inside(family)
        lines += [_address(network, 1, device) for network, device in zip(networks, devices, strict=True)]
        lines += [
            _address(topology.outside_network(family), 1, "nat0"),
            _address(topology.transit_network(family), 1, "inet0"),
            _route("default", nth(topology.transit_network(family), 2)),
            f"{_route('default', topology.snat_addresses(family)[0])} table {_FROM_SUBNETS}",
        ]
        rules[family] = [f"rule add to {network} lookup main pref 100" for network in networks]
        rules[family] += [f"rule add iif {device} lookup {_FROM_SUBNETS} pref 200" for device in devices]
    sysctls = (
        *_sysctls(topology, forwarding=True),
        # What this router says to the NAT by ICMP comes back to it on its way to the client, from its own address. A
        # cloud's routers are many, and none of them takes that for a martian.
        ("net/ipv4/conf/all/accept_local", "1"),
    )
    return HostPlan("router", sysctls, tuple(lines), tuple(rules[4]), tuple(rules[6]))


def _internet(topology: Topology) -> HostPlan:
    lines = _up("eth0")
    for family in topology.families:
        bits = 32 if family == 4 else 128  # noqa: PLR2004  an IP version
        lines += [f"address add {a}/{bits} dev lo{_nodad(a)}" for a in topology.server_addresses(family)]
        if topology.nat.arms == 1:
            lines.append(_address(topology.transit_network(family), 2, "eth0"))
            lines.append(_route(topology.outside_network(family), nth(topology.transit_network(family), 1)))
        else:
            lines.append(_address(topology.outside_network(family), 1, "eth0"))
        if family == 6:  # noqa: PLR2004  an IP version
            # IPv6 answers with an ICMP error even where it does not forward (ip6_pkt_discard)
            lines.append(f"route add blackhole {topology.server_network(family)}")
    sysctls = (
        # Not a router: what is sent to an address that nobody has is dropped without an ICMP error (the dead address).
        *_sysctls(topology, forwarding=False),
        ("net/ipv4/icmp_ratelimit", "0"),  # every closed UDP port says so every time
        ("net/core/somaxconn", "16384"),
        ("net/ipv4/tcp_max_syn_backlog", "16384"),
    )
    return HostPlan("internet", sysctls, tuple(lines))


def _monitor(topology: Topology) -> HostPlan:
    """The host that watches the others. No link leads to it: what breaks on the way under test must not blind it."""
    return HostPlan("monitor", _sysctls(topology, forwarding=False), tuple(_up()))


def _switch(topology: Topology) -> HostPlan:
    lines = _up()
    for number in range(1, len(topology.subnets) + 1):
        bridge = f"lan{number}"
        members = [c for c in topology.clients if topology.client_subnet(c) == number - 1]
        lines.append(f"link add {bridge} type bridge mcast_snooping 0")
        for port in (*members, f"gateway{number}"):
            lines += [f"link set {port} master {bridge}", f"link set {port} up"]
        lines.append(f"link set {bridge} up")
    # a bridge with no address of its own, so that it is neither seen nor spoken to
    return HostPlan(SWITCH, (("net/ipv6/conf/default/disable_ipv6", "1"),), tuple(lines))
