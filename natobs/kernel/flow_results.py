"""What a census says, as plain records that ``msgspec.json`` writes as they are.

Knows figures and what each of them covers; refuses to know how they are counted.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

OTHER = "other"
"""Address of the row that sums all keys that are not listed."""

Reason = Literal["", "interrupted", "overrun", "timeout", "changed", "malformed"]
"""Why a census is not complete; empty where it is.

* ``interrupted``: the kernel says that the table changed its shape during the dump (NLM_F_DUMP_INTR).
* ``overrun``: the kernel says that messages were lost (ENOBUFS, NLMSG_OVERRUN).
* ``timeout``: the dump was given up at its time limit; the figures are of the part until then.
* ``changed``: the number of entries, or of buckets, before and after differ so much that the table was not one thing.
* ``malformed``: some messages were not understood and left out.
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of flows; all are exact.

    Args:
        flows: all of them.
        ipv4: over IPv4.
        ipv6: over IPv6.
        inside: from an inside prefix.
        unanswered: no packet has come back (IPS_SEEN_REPLY missing).
        assured: never evicted early (IPS_ASSURED).
        translated: source or destination is translated.
        source_nat: the source is translated.
        destination_nat: the destination is translated.
        dying: being removed (IPS_DYING).
        offloaded: forwarded by a flowtable (IPS_OFFLOAD).
        hardware_offloaded: forwarded by a NIC (IPS_HW_OFFLOAD).
    """

    flows: int
    ipv4: int
    ipv6: int
    inside: int
    unanswered: int
    assured: int
    translated: int
    source_nat: int
    destination_nat: int
    dying: int
    offloaded: int
    hardware_offloaded: int


@dataclass(frozen=True, slots=True)
class StateFlows:
    """Flows of one protocol in one state.

    Args:
        proto: name of the protocol, else its number.
        state: of TCP, the kernel's name; of the others ``unreplied``, ``replied``, ``assured``, ``unknown``.
        flows: how many.
    """

    proto: str
    state: str
    flows: int


@dataclass(frozen=True, slots=True)
class HostFlows:
    """Flows from one private host, and those of them that nobody answered."""

    address: str
    flows: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class DestinationFlows:
    """Flows to one destination as the client asked for it, and those of them that nobody answered.

    ``port`` is 0 for protocols without ports.
    """

    address: str
    proto: str
    port: int
    flows: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class TupleUse:
    """Ports of one SNAT address that one destination takes.

    Linux gives the same port again for another destination, so this is what runs out.

    Args:
        snat_address: the NAT's address.
        proto: the protocol.
        address: the destination as the NAT reaches it, after any translation.
        port: its port, 0 for protocols without.
        held: ports that a new flow cannot have.
        reclaimable: ports that the kernel takes away for a new flow when it finds no free one.
    """

    snat_address: str
    proto: str
    address: str
    port: int
    held: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class PortPool:
    """Distinct ports (ICMP: identifiers) of one SNAT address that are in use for any destination, and their flows."""

    address: str
    proto: str
    ports: int
    flows: int


@dataclass(frozen=True, slots=True)
class TenantFlows:
    """Flows of one tenant, by source prefix or mark, and those of them that nobody answered."""

    name: str
    flows: int
    unanswered: int


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Ranking(Generic[Row]):
    """The rows with the largest figures.

    Args:
        rows: largest first.
        other: the sum of all that are not in ``rows``; its address is ``other``.
        distinct: how many keys are known, listed or not; all there are when ``missed`` is 0.
        missed: by how much a row may be too small; 0 means that every row is exact. ``rows`` and ``other`` together
            are always exact.
    """

    rows: tuple[Row, ...]
    other: Row
    distinct: int
    missed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one pass over the table.

    Args:
        totals: numbers of flows.
        states: by protocol and state, the most first; exact.
        hosts: private hosts.
        destinations: by address, protocol and port.
        tuples: by SNAT address, protocol, destination and port, most ``held`` first.
        fullest: of each SNAT address and protocol the destination with the most ``held``; the most of all first.
        pools: by SNAT address and protocol, most ports first; exact.
        uncounted_pools: flows of SNAT addresses beyond the number that ``pools`` can hold.
        tenants: in the order of the configuration, then ``other``; exact.
    """

    totals: Totals
    states: tuple[StateFlows, ...]
    hosts: Ranking[HostFlows]
    destinations: Ranking[DestinationFlows]
    tuples: Ranking[TupleUse]
    fullest: tuple[TupleUse, ...]
    pools: tuple[PortPool, ...]
    uncounted_pools: int
    tenants: tuple[TenantFlows, ...]


@dataclass(frozen=True, slots=True)
class Taking:
    """How a census was taken.

    Args:
        complete: whether the figures are of the whole table, as it was during the dump.
        reason: why not.
        attempts: dumps begun, the last of which gave the figures.
        seconds: from the beginning of the first attempt to the end of the last.
        cpu_seconds: of this process and the kernel on its behalf, in that time.
        bytes: received in the last attempt.
        messages: received in the last attempt.
        malformed: messages of the last attempt that were left out.
        entries_before: what the kernel counted before the last attempt, or None where it does not say.
        entries_after: the same, after it. Entries that have timed out are in both until they are collected.
    """

    complete: bool
    reason: Reason
    attempts: int
    seconds: float
    cpu_seconds: float
    bytes: int
    messages: int
    malformed: int
    entries_before: int | None
    entries_after: int | None


@dataclass(frozen=True, slots=True)
class Census:
    """Who uses the NAT, towards whom, and how near a destination is to running out of ports."""

    taking: Taking
    figures: Figures
