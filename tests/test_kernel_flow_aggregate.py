"""Figures of a census against a slow, obvious count of the same flows."""

from ipaddress import ip_network
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel import flow_results as results
from natobs.kernel.flow_aggregate import Aggregate, Scope, Tenant
from natobs.kernel.flow_decode import Decoder
from natobs.kernel.flow_frames import frame
from tests import flow_messages as make
from tests import flow_oracle as oracle

INSIDE = (ip_network("10.0.0.0/8"), ip_network("fd00:a::/32"))
TENANTS = (
    Tenant("one", (ip_network("10.0.0.1/32"), ip_network("fd00:a:1::/48")), ()),
    Tenant("marked", (), (42, 0xDEADBEEF)),
    Tenant("private", (ip_network("10.0.0.0/8"), ip_network("192.168.0.0/16")), (1,)),
    Tenant("all of IPv6", (ip_network("::/0"),), ()),
)


def census(*blocks: bytes, listed: int = 1000, keys: int = 65_536) -> results.Figures:
    decoder, aggregate = Decoder(), Aggregate(Scope(INSIDE, TENANTS, keys, keys, listed))
    for block in blocks:
        aggregate.add(decoder.decode(frame(block)))
    return aggregate.figures()


def truth(*blocks: bytes) -> oracle.Counts:
    flows = [oracle.decode(message) for block in blocks for message in oracle.messages(block)]
    return oracle.count(flows, INSIDE, tuple((one.name, one.prefixes, one.marks) for one in TENANTS))


def check(figures: results.Figures, counted: oracle.Counts) -> None:
    """Every row of every figure."""
    totals = msgspec.to_builtins(figures.totals)
    assert totals == {name: counted.totals[name] for name in totals}
    assert {(row.proto, row.state): row.flows for row in figures.states} == counted.states
    hosts = {row.address: [row.flows, row.unanswered] for row in figures.hosts.rows}
    assert hosts == counted.hosts
    destinations = {
        (row.address, row.proto, row.port): [row.flows, row.unanswered] for row in figures.destinations.rows
    }
    assert destinations == counted.destinations
    tuples = {
        (row.snat_address, row.proto, row.address, row.port): [row.held, row.reclaimable] for row in figures.tuples.rows
    }
    assert tuples == counted.tuples
    most = {(row.snat_address, row.proto): row.held for row in figures.fullest}
    assert most == {
        pool: max(held for (address, proto, *_to), (held, _late) in counted.tuples.items() if (address, proto) == pool)
        for pool in counted.pools
    }
    assert all(tuples[row.snat_address, row.proto, row.address, row.port][0] == row.held for row in figures.fullest)
    pools = {(row.address, row.proto): (row.ports, row.flows) for row in figures.pools}
    assert pools == {key: (len(set(ports)), len(ports)) for key, ports in counted.pools.items()}
    tenants = {row.name: [row.flows, row.unanswered] for row in figures.tenants if row.flows}
    assert tenants == counted.tenants
    for ranking in (figures.hosts, figures.destinations, figures.tuples):
        assert (ranking.missed, ranking.distinct) == (0, len(ranking.rows))


@given(st.lists(make.dumps(), max_size=3))
def test_all_figures_are_as_counted_one_by_one(blocks: list[bytes]) -> None:
    check(census(*blocks), truth(*blocks))


@given(st.lists(make.dumps(), max_size=3), st.integers(0, 3))
def test_what_is_not_listed_is_in_other(blocks: list[bytes], listed: int) -> None:
    whole, cut = census(*blocks), census(*blocks, listed=listed)
    for name in ("hosts", "destinations"):
        all_rows = cast("results.Ranking[results.HostFlows]", getattr(whole, name))
        ranking = cast("results.Ranking[results.HostFlows]", getattr(cut, name))
        assert ranking.rows == all_rows.rows[:listed]
        assert ranking.other.flows == sum(row.flows for row in all_rows.rows[listed:])
        assert ranking.other.unanswered == sum(row.unanswered for row in all_rows.rows[listed:])
        assert ranking.distinct == len(all_rows.rows)
    assert cut.tuples.rows == whole.tuples.rows[:listed]
    assert cut.tuples.other.held == sum(row.held for row in whole.tuples.rows[listed:])
    assert cut.tuples.other.reclaimable == sum(row.reclaimable for row in whole.tuples.rows[listed:])


NAT, SERVER = "203.0.113.10", ("198.51.100.1", 443)


def ports(count: int, state: int = 3, status: int = 0x1BE, first: int = 1024) -> bytes:
    return b"".join(
        make.entry(("10.0.0.1", 5000 + port), SERVER, (NAT, port), state=state, status=status)
        for port in range(first, first + count)
    )


def test_ports_in_time_wait_are_apart() -> None:
    figures = census(
        ports(60), b"".join(make.entry(("10.0.0.2", one), SERVER, (NAT, one), state=7, status=0x1BE) for one in (1, 2))
    )
    (row,) = figures.tuples.rows
    assert (row.held, row.reclaimable) == (60, 2)
    assert figures.pools == (results.PortPool(NAT, "tcp", 62, 62),)


@pytest.mark.parametrize(
    ("state", "status", "reclaimable"),
    [
        (3, 0x1BE, False),  # established
        (6, 0x1BE, False),  # last ack
        (7, 0x1BE, True),  # time wait
        (8, 0x1BE, True),  # close
        (7, 0x1BE | 1 << 9, False),  # dying
        (7, 0x1BE | 1 << 10, False),  # fixed timeout
        (7, 0x1AE, False),  # not source-NATed as far as the kernel knows
    ],
)
def test_what_the_kernel_takes_away_for_a_new_flow(state: int, status: int, reclaimable: bool) -> None:  # noqa: FBT001  a row
    (row,) = census(ports(1, state=state, status=status)).tuples.rows
    assert (row.held, row.reclaimable) == ((0, 1) if reclaimable else (1, 0))


def test_identifiers_of_icmp_count_like_ports() -> None:
    block = b"".join(
        make.entry(("10.0.0.1", 7 + one), ("198.51.100.1", 0), (NAT, 900 + one), proto=1) for one in range(3)
    )
    figures = census(block)
    assert figures.pools == (results.PortPool(NAT, "icmp", 3, 3),)
    assert figures.tuples.rows == (results.TupleUse(NAT, "icmp", "198.51.100.1", 0, held=3, reclaimable=0),)
    assert figures.destinations.rows == (results.DestinationFlows("198.51.100.1", "icmp", 0, 3, 0),)


def test_a_scan_stays_within_its_bounds_and_sums_stay_exact() -> None:
    blocks = [
        b"".join(make.entry(("10.0.0.1", 9), (f"198.51.{host}.{one}", 1), (NAT, 9), status=16) for one in range(256))
        for host in range(20)
    ]
    figures = census(*blocks, ports(50), keys=400)
    assert figures.totals.flows == 20 * 256 + 50
    assert figures.destinations.rows[0] == results.DestinationFlows(*(SERVER[0], "tcp", SERVER[1]), 50, 0)
    assert 0 < figures.destinations.missed <= 30
    sums = sum(row.flows for row in figures.destinations.rows) + figures.destinations.other.flows
    assert sums == figures.totals.flows
    assert figures.hosts.missed == 0


def test_more_snat_addresses_than_can_be_held_are_counted_as_such() -> None:
    block = b"".join(
        make.entry(("10.0.0.1", 9), SERVER, (f"203.0.{one // 256}.{one % 256}", 9), proto=17) for one in range(600)
    )
    figures = census(block)
    assert (len(figures.pools), figures.uncounted_pools, figures.tuples.distinct) == (512, 88, 600)


def test_the_result_is_plain_json() -> None:
    figures = census(ports(3))
    assert msgspec.json.decode(msgspec.json.encode(figures), type=results.Figures) == figures


def test_no_flows() -> None:
    figures = census()
    assert figures.totals.flows == 0
    assert (figures.states, figures.hosts.rows, figures.pools) == ((), (), ())
    assert [row.flows for row in figures.tenants] == [0] * (len(TENANTS) + 1)
