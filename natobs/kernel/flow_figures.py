"""What a person or a scrape gets to see of a census: the largest few, ranges beside ports, growth since the last one.

Pure. Knows which figures belong side by side; refuses to know how they look.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from natobs.kernel.flow_results import OTHER, DestinationFlows, Figures, PortPool, TupleUse
from natobs.kernel.flow_worker import Answer
from natobs.kernel.nat_rules import PortRange, port_range

Measure = Literal["flows", "unanswered"]


@dataclass(frozen=True, slots=True)
class TupleShare:
    """A destination's share of the ports of a SNAT address.

    Args:
        use: its ports.
        range: how many it could have; None for protocols without ports.
    """

    use: TupleUse
    range: PortRange | None

    @property
    def saturation(self) -> float | None:
        """Ports that a new flow cannot have, of all; None for protocols without ports."""
        return None if self.range is None else self.use.held / self.range.size


@dataclass(frozen=True, slots=True)
class PoolShare:
    """The ports of a SNAT address for one protocol.

    Args:
        pool: those in use.
        range: how many it has for one destination; None for protocols without ports.
        fullest: the destination that takes the most; None where the census lost sight of it.
    """

    pool: PortPool
    range: PortRange | None
    fullest: TupleUse | None

    @property
    def saturation(self) -> float | None:
        """Of the fullest destination, see :class:`TupleShare`."""
        return None if self.range is None or self.fullest is None else self.fullest.held / self.range.size


@dataclass(frozen=True, slots=True)
class Hosts:
    """Flows by private host, to compare the next census with.

    Args:
        flows: of the hosts that were listed.
        total: of all hosts.
        all_listed: whether a host that is missing had none.
    """

    flows: Mapping[str, int]
    total: int
    all_listed: bool


def tuples(answer: Answer, configured: Mapping[str, int], most: int) -> list[TupleShare]:
    """The destinations that take the most ports, the one with the largest share first.

    Args:
        answer: a census.
        configured: port range sizes by SNAT address.
        most: how many.
    """
    sizes = answer.ruleset
    rows = {  # the fullest of each address too, which matters where ranges differ
        (use.snat_address, use.proto, use.address, use.port): use
        for use in (*answer.census.figures.tuples.rows, *answer.census.figures.fullest)
    }
    shares = [TupleShare(use, port_range(use.snat_address, use.proto, sizes, configured)) for use in rows.values()]
    shares = [share for share in shares if share.range is not None]
    return sorted(shares, key=lambda share: (-(share.saturation or 0.0), -share.use.reclaimable))[:most]


def pools(answer: Answer, configured: Mapping[str, int], most: int) -> list[PoolShare]:
    """SNAT addresses and protocols, those with the most ports in use first; protocols without ports are left out."""
    sizes = answer.ruleset
    fullest = {(use.snat_address, use.proto): use for use in answer.census.figures.fullest}
    return [
        PoolShare(pool, size, fullest.get((pool.address, pool.proto)))
        for pool in answer.census.figures.pools
        if (size := port_range(pool.address, pool.proto, sizes, configured)) is not None
    ][:most]


def top_hosts(figures: Figures, most: int, by: Measure = "flows") -> dict[str, int]:
    """Private hosts with the largest figures, the largest first, and ``other`` for the rest; none whose figure is 0."""
    counts = {row.address: row.flows if by == "flows" else row.unanswered for row in figures.hosts.rows}
    rest = figures.hosts.other.flows if by == "flows" else figures.hosts.other.unanswered
    return _top(counts, rest, most)


def top_destinations(figures: Figures, most: int) -> tuple[list[DestinationFlows], int]:
    """Destinations with the most flows, and the flows of all others."""
    rows = figures.destinations.rows
    return list(rows[:most]), figures.destinations.other.flows + sum(row.flows for row in rows[most:])


def hosts_of(figures: Figures) -> Hosts:
    """What the next census is compared with."""
    ranking = figures.hosts
    flows = {row.address: row.flows for row in ranking.rows}
    return Hosts(flows, sum(flows.values()) + ranking.other.flows, not ranking.other.flows and not ranking.missed)


def growth(before: Hosts, now: Hosts, most: int) -> dict[str, int]:
    """By how many flows hosts grew, those that grew the most first, and ``other`` for the rest.

    A host whose figure is unknown in one of both censuses is in ``other``.
    """
    known = {
        host: flows - before.flows.get(host, 0)
        for host, flows in now.flows.items()
        if host in before.flows or before.all_listed
    }
    if now.all_listed:
        known |= {host: -flows for host, flows in before.flows.items() if host not in now.flows}
    return _top(known, now.total - before.total - sum(known.values()), most)


def _top(counts: Mapping[str, int], rest: int, most: int) -> dict[str, int]:
    ranked: Iterable[tuple[str, int]] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    chosen = {host: count for host, count in list(ranked)[:most] if count}
    return {**chosen, OTHER: rest + sum(counts.values()) - sum(chosen.values())}
