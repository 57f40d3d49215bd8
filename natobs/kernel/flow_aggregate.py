"""Figures out of flows, block after block, in bounded memory.

Knows which flows are counted under which key, and the kernel's rules behind
them; refuses to know where flows come from and what is exported. Keys are
counted by :mod:`natobs.kernel.flow_tally`.

Loads numpy: nothing that the agent imports when it starts may import this.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from natobs.kernel import flow_results as results
from natobs.kernel.flow_decode import Flows
from natobs.kernel.flow_names import (
    ASSURED,
    DST_NAT,
    DYING,
    FIXED_TIMEOUT,
    HW_OFFLOAD,
    OFFLOAD,
    SEEN_REPLY,
    SRC_NAT,
    TCP,
    TIME_WAIT,
    protocol,
    state_name,
)
from natobs.kernel.flow_ranges import Address, Flags, Network, Range, differ, text, within
from natobs.kernel.flow_shape import AF_INET6, HAS
from natobs.kernel.flow_tally import Column, Heaviest, KeyIndex, Tally

_MOST_KINDS = 1 << 20
"""More combinations of protocol, state and flags than there are; each is a dozen bytes."""
_MOST_POOLS = 512
"""SNAT addresses times protocols whose ports are counted; one costs 64 KiB, of which pages in use are paid for."""
_PORTS = 65536
_NO_STATE = 0xFF


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody whose flows are counted apart: those from its prefixes, and those that bear its marks."""

    name: str
    prefixes: tuple[Network, ...] = ()
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look for.

    Args:
        inside: prefixes of the private hosts; a flow from elsewhere, the NAT's own too, belongs to no host.
        tenants: a flow belongs to the first of them that fits.
        hosts: distinct hosts that are kept; beyond, see :class:`Tally`.
        keys: distinct destinations that are kept, and as many tuples.
        listed: rows of each ranking in the result.
    """

    inside: tuple[Network, ...]
    tenants: tuple[Tenant, ...] = ()
    hosts: int = 65_536
    keys: int = 32_768
    listed: int = 200


class Aggregate:
    """Takes flows and gives figures; one for each pass over the table.

    A flow is source-NATed when it bears IPS_SRC_NAT, or when the answer goes to
    another address or port than the question came from (entries that were
    written by hand or by conntrackd may lack the bit); destinations likewise.

    A port is reclaimable when the kernel takes it away from its flow as a last
    resort: TCP in TIME_WAIT or a later state, source-NATed by its bit, neither
    dying nor of fixed timeout (nf_nat_may_kill in net/netfilter/nf_nat_core.c,
    "snat: evict closing tcp entries on reply tuple collision", 2023). Kernels
    before that commit reclaim nothing; on newer ones an offloaded entry goes too,
    but the port is had only by the next attempt. The kernel also asks for the new
    flow's sequence number to be past the old one's, which a table cannot show.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._inside = [Range.of(prefix) for prefix in scope.inside]
        self._tenants = [
            ([Range.of(prefix) for prefix in tenant.prefixes], np.array(tenant.marks, np.uint32))
            for tenant in scope.tenants
        ]
        self._kinds = Tally(1, _MOST_KINDS)
        self._hosts = Tally(2, scope.hosts)
        self._destinations = Tally(3, scope.keys)
        self._tuples = Tally(5, scope.keys)
        self._by_tenant = Tally(1, len(scope.tenants) + 1)
        self._pools = KeyIndex(3, _MOST_POOLS)
        self._taken: NDArray[np.bool_] = np.zeros((1, _PORTS), np.bool_)
        self._pool_flows: NDArray[np.int64] = np.zeros(_MOST_POOLS, np.int64)
        self._uncounted = 0

    def add(self, flows: Flows) -> None:
        """Count flows."""
        if not len(flows):
            return
        status, has = flows["status"].astype(np.uint32), flows["has"]
        proto, state = flows["proto"], flows["tcp_state"]
        known = (has & HAS["status"]) != 0
        unanswered = known & ((status & SEEN_REPLY) == 0)
        src, dst = _address(flows, "src"), _address(flows, "dst")
        reply_src, reply_dst = _address(flows, "reply_src"), _address(flows, "reply_dst")
        ports = {name: flows[name].astype(np.uint64) for name in ("sport", "dport", "reply_sport", "reply_dport")}
        snat = differ(src, reply_dst) | (ports["sport"] != ports["reply_dport"]) | ((status & SRC_NAT) != 0)
        dnat = differ(dst, reply_src) | (ports["dport"] != ports["reply_sport"]) | ((status & DST_NAT) != 0)
        inside = within(self._inside, src)

        kind = np.where((proto == TCP) & ((has & HAS["tcp_state"]) != 0), state, _NO_STATE).astype(np.uint64)
        kind = kind << np.uint64(8) | proto
        for bit, flag in enumerate((known, inside, snat, dnat, flows["family"] == AF_INET6), start=16):
            kind |= flag.astype(np.uint64) << np.uint64(bit)
        kind |= (status & _FLAGS).astype(np.uint64) << np.uint64(32)
        self._kinds.add([kind], unanswered)
        self._hosts.add([half[inside] for half in src], unanswered[inside])
        self._destinations.add([*dst, ports["dport"] << np.uint64(8) | proto], unanswered)
        if self._tenants:
            self._add_tenants(src, flows["mark"].astype(np.uint32), has, unanswered)
        if snat.any():
            late = (proto == TCP) & (state >= TIME_WAIT) & ((has & HAS["tcp_state"]) != 0)
            late &= (status & (SRC_NAT | DYING | FIXED_TIMEOUT)) == SRC_NAT
            rows = slice(None) if snat.all() else np.flatnonzero(snat)
            given = [half[rows] for half in reply_dst]
            to = [half[rows] for half in reply_src]
            self._tuples.add([*given, *to, ports["reply_sport"][rows] << np.uint64(8) | proto[rows]], late[rows])
            self._add_pools([*given, proto[rows].astype(np.uint64)], ports["reply_dport"][rows])

    def _add_tenants(self, src: Address, marks: NDArray[np.uint32], has: Column, unanswered: Flags) -> None:
        owner = np.full(len(marks), len(self._tenants), np.uint64)
        marked = (has & HAS["mark"]) != 0
        for number, (ranges, wanted) in reversed(list(enumerate(self._tenants))):
            owner[within(ranges, src) | (marked & np.isin(marks, wanted))] = number
        self._by_tenant.add([owner], unanswered)

    def _add_pools(self, keys: list[Column], port: Column) -> None:
        numbers = self._pools.find(keys)
        fits = numbers >= 0
        if not fits.all():
            self._uncounted += int((~fits).sum())
            numbers, port = numbers[fits], port[fits]
        if len(self._pools) > len(self._taken):
            more = np.zeros((len(self._pools) - len(self._taken), _PORTS), np.bool_)
            self._taken = np.concatenate([self._taken, more])
        np.add.at(self._pool_flows, numbers, 1)
        self._taken.reshape(-1)[numbers * _PORTS + port.astype(np.int64)] = True

    def figures(self) -> results.Figures:
        """All figures of the flows so far."""
        totals, states = _totals(self._kinds.heaviest(_MOST_KINDS))
        listed = self._scope.listed
        hosts = self._hosts.heaviest(listed)
        destinations = self._destinations.heaviest(listed)
        tuples = self._tuples.heaviest(listed, by="difference")
        return results.Figures(
            totals=totals,
            states=states,
            hosts=results.Ranking(
                tuple(
                    results.HostFlows(text(hi, lo), *counts)
                    for hi, lo, counts in zip(*_lists(hosts.keys), hosts.counts, strict=True)
                ),
                results.HostFlows(results.OTHER, *hosts.other),
                hosts.distinct,
                hosts.missed,
            ),
            destinations=results.Ranking(
                tuple(
                    results.DestinationFlows(text(hi, lo), protocol(what & 0xFF), what >> 8, *counts)
                    for hi, lo, what, counts in zip(*_lists(destinations.keys), destinations.counts, strict=True)
                ),
                results.DestinationFlows(results.OTHER, "", 0, *destinations.other),
                destinations.distinct,
                destinations.missed,
            ),
            tuples=self._tuple_ranking(tuples),
            fullest=self._fullest_tuples(),
            pools=self._pool_rows(),
            uncounted_pools=self._uncounted,
            tenants=self._tenant_rows(),
        )

    def _tuple_ranking(self, found: Heaviest) -> results.Ranking[results.TupleUse]:
        rows = _tuple_rows(_lists(found.keys), found.counts)
        flows, late = found.other
        other = results.TupleUse(results.OTHER, "", results.OTHER, 0, held=flows - late, reclaimable=late)
        return results.Ranking(rows, other, found.distinct, found.missed)

    def _fullest_tuples(self) -> tuple[results.TupleUse, ...]:
        keys, counts = self._tuples.fullest(lambda columns: [columns[0], columns[1], columns[4] & np.uint64(0xFF)])
        rows = _tuple_rows(_lists(keys), counts)
        return tuple(sorted(rows, key=lambda row: (-row.held, row.snat_address, row.proto))[:_MOST_POOLS])

    def _pool_rows(self) -> tuple[results.PortPool, ...]:
        keys = zip(*(column.tolist() for column in self._pools.columns()), strict=True)
        rows = [
            results.PortPool(text(hi, lo), protocol(proto), int(np.count_nonzero(ports)), int(flows))
            for (hi, lo, proto), ports, flows in zip(keys, self._taken, self._pool_flows, strict=False)  # spare rows
        ]
        return tuple(sorted(rows, key=lambda row: (-row.ports, row.address, row.proto)))

    def _tenant_rows(self) -> tuple[results.TenantFlows, ...]:
        if not self._tenants:
            return ()
        found = self._by_tenant.heaviest(len(self._tenants) + 1)
        counts = dict(zip(found.keys[0].tolist(), found.counts, strict=True))
        names = [*(tenant.name for tenant in self._scope.tenants), results.OTHER]
        return tuple(results.TenantFlows(name, *counts.get(number, (0, 0))) for number, name in enumerate(names))


_FLAGS = SEEN_REPLY | ASSURED | DYING | OFFLOAD | HW_OFFLOAD


def _totals(kinds: Heaviest) -> tuple[results.Totals, tuple[results.StateFlows, ...]]:
    states: dict[tuple[str, str], int] = {}
    sums = dict.fromkeys(results.Totals.__dataclass_fields__, 0)
    for kind, (flows, unanswered) in zip(kinds.keys[0].tolist(), kinds.counts, strict=True):
        known, inside, snat, dnat, ipv6 = (bool(kind >> bit & 1) for bit in range(16, 21))
        status = kind >> 32
        facts = {
            "flows": True,
            "ipv4": not ipv6,
            "ipv6": ipv6,
            "inside": inside,
            "assured": status & ASSURED,
            "translated": snat or dnat,
            "source_nat": snat,
            "destination_nat": dnat,
            "dying": status & DYING,
            "offloaded": status & OFFLOAD,
            "hardware_offloaded": status & HW_OFFLOAD,
        }
        for fact, holds in facts.items():
            sums[fact] += flows if holds else 0
        sums["unanswered"] += unanswered
        state = kind >> 8 & 0xFF
        name = state_name(None if state == _NO_STATE else state, status if known else None)
        row = (protocol(kind & 0xFF), name)
        states[row] = states.get(row, 0) + flows
    rows = [results.StateFlows(*row, flows) for row, flows in states.items()]
    return results.Totals(**sums), tuple(sorted(rows, key=lambda row: (-row.flows, row.proto, row.state)))


def _address(flows: Flows, name: str) -> Address:
    return flows[f"{name}_hi"].astype(np.uint64), flows[f"{name}_lo"].astype(np.uint64)


def _tuple_rows(keys: list[list[int]], counts: list[tuple[int, int]]) -> tuple[results.TupleUse, ...]:
    return tuple(
        results.TupleUse(text(snat_hi, snat_lo), protocol(what & 0xFF), text(hi, lo), what >> 8, flows - late, late)
        for snat_hi, snat_lo, hi, lo, what, (flows, late) in zip(*keys, counts, strict=True)
    )


def _lists(columns: list[Column]) -> list[list[int]]:
    return [column.tolist() for column in columns]
