"""What is known of a firewall table, whichever kernel interface it was read from.

Records only: :mod:`natobs.kernel.nftables` and :mod:`natobs.kernel.xtables`
fill them, and neither refers to the other. Refuses to know what a rule matches:
only where it stands, what it is called, what it does to a packet in the end and
what it has counted.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Backend = Literal["nftables", "iptables-nft", "iptables-legacy"]
Verdict = Literal["", "drop", "reject"]
"""What a rule does with the packet where it denies it; empty for everything else."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What never changes about a rule.

    Args:
        identity: tells the rule from every other of its table, for as long as it exists.
        chain: name of its chain.
        comment: its comment as it was written, or empty.
        verdict: whether and how it denies; a verdict inside a map is not seen.
    """

    identity: Hashable
    chain: str
    comment: str
    verdict: Verdict


class Count(NamedTuple):
    """What a rule has counted.

    Args:
        rule: the rule.
        position: its place in the chain, from 1.
        packets: sum of its counters; None where it has none.
        bytes: the same in bytes.
        denied: packets that it dropped or rejected; None where it does neither or does not count them apart.
    """

    rule: Rule
    position: int
    packets: int | None
    bytes: int | None
    denied: int | None


class Policy(NamedTuple):
    """What befalls the packets that reach the end of a base chain.

    Args:
        chain: name of the chain.
        drop: whether they are dropped.
        packets: how many there were; None where the chain does not count them.
        bytes: the same in bytes.
    """

    chain: str
    drop: bool
    packets: int | None
    bytes: int | None


class NamedCounter(NamedTuple):
    """A counter object of nftables, which rules refer to by its name.

    Args:
        identity: tells it from every other of its table, for as long as it exists.
        name: its name.
        packets: what it counted.
        bytes: the same in bytes.
    """

    identity: Hashable
    name: str
    packets: int
    bytes: int


@dataclass(slots=True)
class Table:
    """One table of rules.

    Args:
        identity: tells it from every other table, also from one of the same name that was made later.
        backend: which program's rules these are.
        family: ``ip``, ``ip6``, ``inet``, ``arp``, ``bridge`` or ``netdev``.
        name: its name.
        counts: rules that count or deny, in the order of evaluation.
        policies: base chains that count what reaches their end, or drop it uncounted.
        counters: named counters.
    """

    identity: Hashable
    backend: Backend
    family: str
    name: str
    counts: list[Count] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    counters: list[NamedCounter] = field(default_factory=list)
