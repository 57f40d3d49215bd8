"""Rules that translate sources, whichever firewall holds them, and which ports they leave to an address.

Pure. Knows in which order rules act and when one of them can never be reached;
refuses to know how they are written (:mod:`natobs.kernel.nft_nat`,
:mod:`natobs.kernel.xt_nat`). In doubt it says nothing: a range that is claimed
must be the one that the kernel uses.
"""

import socket
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Source = Literal["ruleset", "config", "default"]

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "icmpv6": 58, "sctp": 132, "udplite": 136}
"""Protocols whose ports, identifiers or keys the kernel translates."""

_FROM_1024 = 65536 - 1024
_DEFAULTS = {"icmp": 65536, "icmpv6": 65536, "gre": 65535}
"""Ranges of nf_nat_l4proto_unique_tuple (net/netfilter/nf_nat_core.c) without a range in the rule. Clients whose own
port is below 1024 get ports below 1024, which are few and not counted here."""


@dataclass(frozen=True, slots=True)
class NatRule:
    """A rule that translates the source of what matches it.

    Args:
        chain: which chain it stands in.
        ipv6: which family it is for; None for both.
        protocols: numbers of the protocols that can match; None for all.
        conditions: what else a packet has to fulfil, all of it; equal ones mean the same.
        addresses: first and last address that it gives, packed; None when any may be.
        ports: first and last port that it gives; None when it names none.
        known: whether ``ports`` is the truth; False for rules that compute them.
    """

    chain: Hashable
    ipv6: bool | None
    protocols: frozenset[int] | None
    conditions: frozenset[Hashable]
    addresses: tuple[bytes, bytes] | None
    ports: tuple[int, int] | None
    known: bool = True


@dataclass(frozen=True, slots=True)
class PortRange:
    """How many ports an address has for one protocol, towards one destination.

    Args:
        size: how many.
        source: who says so.
    """

    size: int
    source: Source


def ports_of(rules: Iterable[NatRule], address: str, proto: int) -> tuple[int, int] | None:
    """First and last port that the rules give with an address; None when they name none, or not always the same.

    Args:
        rules: those of one chain in their order.
        address: the SNAT address.
        proto: number of the protocol.
    """
    ipv6 = ":" in address
    packed = socket.inet_pton(socket.AF_INET6 if ipv6 else socket.AF_INET, address)
    before: list[NatRule] = []
    found: set[tuple[int, int] | None] = set()
    for rule in rules:
        if rule.ipv6 not in (None, ipv6) or (rule.protocols is not None and proto not in rule.protocols):
            continue
        gives = rule.addresses is None or rule.addresses[0] <= packed <= rule.addresses[1]
        # Only what could change the answer is compared with all before it: there may be thousands of either.
        if gives and not (rule.known and rule.ports in found) and not _hidden(rule, before):
            if found or not rule.known:
                return None
            found.add(rule.ports)
        before.append(rule)
    return found.pop() if found else None


def _hidden(rule: NatRule, before: Iterable[NatRule]) -> bool:
    """Whether what fulfils all conditions of a rule has been translated by one before it in its chain."""
    return any(one.chain == rule.chain and one.conditions <= rule.conditions for one in before)


def port_range(
    address: str, proto: str, ruleset: Mapping[tuple[str, str], int], configured: Mapping[str, int]
) -> PortRange | None:
    """The range of an address for a protocol; None for protocols without ports.

    Args:
        address: the SNAT address.
        proto: name of the protocol.
        ruleset: sizes that the rules name, by address and protocol.
        configured: sizes by address.
    """
    if proto not in PROTOCOLS:
        return None
    if (address, proto) in ruleset:
        return PortRange(ruleset[address, proto], "ruleset")
    if address in configured:
        return PortRange(configured[address], "config")
    return PortRange(_DEFAULTS.get(proto, _FROM_1024), "default")
