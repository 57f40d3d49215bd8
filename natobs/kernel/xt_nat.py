"""The targets MASQUERADE and SNAT of iptables: which addresses and ports they give.

Knows the structures that both backends share, and the rules of iptables-legacy
around them; those of iptables-nft are :mod:`natobs.kernel.nft_nat`'s. Sources:
include/uapi/linux/netfilter/nf_nat.h (struct nf_nat_ipv4_multi_range_compat,
nf_nat_range, nf_nat_range2), net/netfilter/xt_nat.c and xt_MASQUERADE.c
(which revision has which), netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h.
"""

import struct
from collections.abc import Hashable, Iterator

from natobs.errors import FormatError
from natobs.kernel import xtables
from natobs.kernel.nat_rules import NatRule

TARGETS = frozenset({"MASQUERADE", "SNAT"})

_COMPAT = struct.Struct("=II4s4s2s2s")  # rangesize, flags, first and last address, first and last port
_RANGE = struct.Struct("=I16s16s2s2s")  # flags, first and last address, first and last port
_MAP_ADDRESSES, _PORTS_GIVEN = 1 << 0, 1 << 1  # NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED
_IPV4_BYTES = 4
_INVERTED_PROTOCOL = 0x40  # XT_INV_PROTO
_IP6T_F_PROTO = 0x01

Range = tuple[tuple[bytes, bytes] | None, tuple[int, int] | None]
"""First and last address, first and last port; None where the target names none."""


def parse_range(target: str, revision: int, info: bytes, *, ipv6: bool) -> Range:
    """Decode what MASQUERADE or SNAT is told.

    Args:
        target: its name.
        revision: of its structure.
        info: the structure.
        ipv6: whether the rule is one of ip6tables.

    Raises:
        FormatError: the structure is too short.
    """
    compat = not ipv6 and (target == "MASQUERADE" or revision == 0)
    layout = _COMPAT if compat else _RANGE
    if len(info) < layout.size:
        raise FormatError(f"xtables: {target} of {len(info)} bytes")
    flags, first, last, low, high = layout.unpack_from(info)[1 if compat else 0 :]
    if not ipv6:
        first, last = first[:_IPV4_BYTES], last[:_IPV4_BYTES]
    return (
        (first, last) if flags & _MAP_ADDRESSES else None,
        (int.from_bytes(low, "big"), int.from_bytes(high, "big")) if flags & _PORTS_GIVEN else None,
    )


def parse_table(data: bytes, *, ipv6: bool) -> list[NatRule]:
    """The rules of iptables-legacy's table ``nat`` that translate sources, as :func:`xtables.chains` finds them.

    Raises:
        FormatError: lengths or offsets contradict one another.
    """
    rules = []
    for chain, entries in xtables.chains(data, "nat", ipv6=ipv6).items():
        for entry in entries:
            if entry.target in TARGETS:
                addresses, ports = parse_range(entry.target, entry.revision, entry.payload, ipv6=ipv6)
                protocols, conditions = _match(entry.match, ipv6=ipv6)
                conditions |= set(_extensions(entry.extensions))
                place = ("iptables-legacy", ipv6, chain)
                rules.append(NatRule(place, ipv6, protocols, frozenset(conditions), addresses, ports))
    return rules


def _match(match: bytes, *, ipv6: bool) -> tuple[frozenset[int] | None, set[Hashable]]:
    """The protocol, and all else that struct ipt_ip or ip6t_ip6 demands."""
    size = 16 if ipv6 else 4
    fields = struct.Struct(f"={size}s{size}s{size}s{size}s16s16s16s16sH")
    source, destination, source_mask, destination_mask, into, out, into_mask, out_mask, proto = fields.unpack_from(
        match
    )
    rest = match[fields.size :]
    flags, inverted = (rest[1], rest[2]) if ipv6 else (rest[0], rest[1])
    conditions: set[Hashable] = {
        (name, value, mask, inverted & bit)
        for name, value, mask, bit in (
            ("source", source, source_mask, 0x08),
            ("destination", destination, destination_mask, 0x10),
            ("in", into, into_mask, 0x01),
            ("out", out, out_mask, 0x02),
        )
        if any(mask)
    }
    other_flags = flags & ~_IP6T_F_PROTO if ipv6 else flags
    if other_flags:
        conditions.add(("flags", flags, rest[0], inverted))
    if not proto or (ipv6 and not flags & _IP6T_F_PROTO):
        return None, conditions
    if inverted & _INVERTED_PROTOCOL:
        return frozenset(range(256)) - {proto}, conditions
    return frozenset({proto}), conditions


def _extensions(data: bytes) -> Iterator[Hashable]:
    for name, content in xtables.matches(data):
        if name != "comment":
            yield name, content
