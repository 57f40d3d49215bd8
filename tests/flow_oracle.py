"""Flows decoded and counted the slow, obvious way: one message, one attribute, one dictionary at a time."""

import ipaddress
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass, field

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TCP_STATES = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
]
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp"}
NAMES[136] = "udplite"


class BadMessageError(Exception):
    """Not an entry that anybody could count."""


@dataclass
class Flow:
    """One entry; a field that was not sent is missing from ``values``."""

    family: int
    values: dict[str, int | str] = field(default_factory=dict)

    def number(self, name: str) -> int:
        value = self.values.get(name, 0)
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        value = self.values[name]
        assert isinstance(value, str)
        return value


def attributes(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack("=HH", data[:4])
        if length < 4 or length > len(data):
            raise BadMessageError(f"attribute of {length} bytes")
        found.append((kind & 0x3FFF, data[4:length]))
        data = data[(length + 3) // 4 * 4 :]
    return found


def one_way(kind: int, way: str, client_port: str) -> dict[tuple[int, ...], tuple[str, int]]:
    return {
        (kind, 1, 1): (f"{way}src", 4),
        (kind, 1, 2): (f"{way}dst", 4),
        (kind, 1, 3): (f"{way}src", 16),
        (kind, 1, 4): (f"{way}dst", 16),
        (kind, 2, 2): (f"{way}sport", 2),
        (kind, 2, 3): (f"{way}dport", 2),
        (kind, 2, 4): (f"{way}{client_port}", 2),
        (kind, 2, 7): (f"{way}{client_port}", 2),
    }


FIELDS: dict[tuple[int, ...], tuple[str, int]] = {
    **one_way(1, "", "sport"),
    **one_way(2, "reply_", "dport"),
    (1, 2, 1): ("proto", 1),
    (1, 2, 5): ("icmp_type", 1),
    (1, 2, 6): ("icmp_code", 1),
    (1, 2, 8): ("icmp_type", 1),
    (1, 2, 9): ("icmp_code", 1),
    (1, 3): ("zone", 2),
    (3,): ("status", 4),
    (4, 1, 1): ("tcp_state", 1),
    (4, 2, 1): ("dccp_state", 1),
    (4, 3, 1): ("sctp_state", 1),
    (7,): ("timeout", 4),
    (8,): ("mark", 4),
    (9, 1): ("orig_packets", 8),
    (9, 2): ("orig_bytes", 8),
    (10, 1): ("reply_packets", 8),
    (10, 2): ("reply_bytes", 8),
    (12,): ("id", 4),
    (18,): ("zone", 2),
    (20, 1): ("start", 8),
    (20, 2): ("stop", 8),
}
"""Where a field stands, by attribute types from outside in; its name and its bytes."""
NESTS = {path[:depth] for path in FIELDS for depth in (1, 2) if len(path) > depth}


def leaves(data: bytes, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], bytes]]:
    found = []
    for kind, value in attributes(data):
        here = (*path, kind)
        found += leaves(value, here) if here in NESTS else [(here, value)]
    return found


def decode(message: bytes) -> Flow:
    """One message, netlink header included."""
    flow = Flow(0)
    families: set[int] = set()
    for path, value in leaves(message[20:]):
        if path not in FIELDS:
            continue
        name, size = FIELDS[path]
        if len(value) != size:
            raise BadMessageError(f"{name} of {len(value)} bytes")
        if name.endswith(("src", "dst")):
            families.add(size)
            flow.values[name] = str(ipaddress.ip_address(value))
        else:
            flow.values[name] = int.from_bytes(value, "big")
    if not {"src", "dst", "reply_src", "reply_dst", "proto"} <= flow.values.keys() or len(families) != 1:
        raise BadMessageError("addresses or protocol")
    flow.family = 2 if families == {4} else 10
    return flow


def messages(data: bytes) -> list[bytes]:
    """The messages of a well-formed block."""
    found = []
    while data:
        (length,) = struct.unpack("=I", data[:4])
        found.append(data[:length])
        data = data[(length + 3) // 4 * 4 :]
    return found


@dataclass
class Counts:
    """The figures of a census, all keys, unbounded."""

    totals: Counter[str] = field(default_factory=Counter)
    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    hosts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    destinations: dict[tuple[str, str, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    tuples: dict[tuple[str, str, str, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    pools: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    tenants: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))


def within(address: str, prefixes: tuple[Network, ...]) -> bool:
    return any(ipaddress.ip_address(address) in prefix for prefix in prefixes)


def count(
    flows: list[Flow],
    inside: tuple[Network, ...],
    tenants: tuple[tuple[str, tuple[Network, ...], tuple[int, ...]], ...] = (),
) -> Counts:
    """Count flows; what each figure means stands in natobs.kernel.flow_results."""
    found = Counts()
    for flow in flows:
        status = flow.number("status")
        proto = flow.number("proto")
        name = NAMES.get(proto, str(proto))
        unanswered = int("status" in flow.values and not status & 2)
        src, dst = flow.text("src"), flow.text("dst")
        snat = bool(status & 16) or (src, flow.number("sport")) != (flow.text("reply_dst"), flow.number("reply_dport"))
        dnat = bool(status & 32) or (dst, flow.number("dport")) != (flow.text("reply_src"), flow.number("reply_sport"))
        is_inside = within(src, inside)
        facts = {
            "flows": 1,
            "ipv4": flow.family == 2,
            "ipv6": flow.family == 10,
            "inside": is_inside,
            "unanswered": unanswered,
            "assured": status & 4,
            "translated": snat or dnat,
            "source_nat": snat,
            "destination_nat": dnat,
            "dying": status & 1 << 9,
            "offloaded": status & 1 << 14,
            "hardware_offloaded": status & 1 << 15,
        }
        found.totals.update({fact: int(bool(holds)) for fact, holds in facts.items()})
        tcp_state = flow.number("tcp_state") if proto == 6 and "tcp_state" in flow.values else 99
        if tcp_state < len(TCP_STATES):
            state = TCP_STATES[tcp_state]
        elif "status" not in flow.values:
            state = "unknown"
        else:
            state = "assured" if status & 4 else "replied" if status & 2 else "unreplied"
        found.states[name, state] += 1
        keys: list[list[int]] = [found.destinations[dst, name, flow.number("dport")]]
        if is_inside:
            keys.append(found.hosts[src])
        if tenants:
            owner = next(
                (
                    tenant
                    for tenant, prefixes, marks in tenants
                    if within(src, prefixes) or ("mark" in flow.values and flow.number("mark") in marks)
                ),
                "other",
            )
            keys.append(found.tenants[owner])
        for key in keys:
            key[0] += 1
            key[1] += unanswered
        if snat:
            late = (
                proto == 6
                and flow.number("tcp_state") in range(7, 256)
                and status & 16
                and not status & (1 << 9 | 1 << 10)
            )
            address = flow.text("reply_dst")
            found.tuples[address, name, flow.text("reply_src"), flow.number("reply_sport")][1 if late else 0] += 1
            found.pools[address, name].append(flow.number("reply_dport"))
    return found
