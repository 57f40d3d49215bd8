import json
import subprocess
from contextlib import closing, suppress
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import netlink, route
from natobs.kernel.address import Prefixes
from natobs.kernel.live import LiveMachine
from natobs.kernel.route import Nexthop, Route, Table
from tests import rtnetlink
from tests.mutate import attempt, damaged
from tests.rtnetlink import BLACKHOLE, CLONED, DEAD, LINKDOWN, LOCAL, MAIN, UNREACHABLE, V4, V6

INSIDE = Prefixes((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
VIA = Nexthop(2, bytes([203, 0, 113, 1]))
DEFAULT = rtnetlink.route("203.0.113.1", 2)
DUMP = (
    DEFAULT
    + rtnetlink.route("203.0.113.2", 2, metric=100)
    + rtnetlink.route("", 3, to="10.0.1.0/24")
    + rtnetlink.route("10.0.1.9", 3, to="10.0.7.0/24")
    + rtnetlink.route("203.0.113.1", 2, to="198.51.100.0/24")
    + rtnetlink.route("203.0.113.1", 2, ("203.0.113.7", 4, 0), metric=7)
)
DUMP6 = rtnetlink.route("fe80::1", 2, family=V6, metric=1024) + rtnetlink.route("", 3, to="fd00:a:1::/64")


def parsed(data: bytes, family: int = V4) -> Table:
    return route.parse(data + rtnetlink.done(), family, INSIDE)


def test_default_routes_and_the_ways_into_the_private_prefixes() -> None:
    table = parsed(DUMP)
    assert {(one.metric, one.nexthops) for one in table.defaults} == {
        (0, frozenset({VIA})),
        (100, frozenset({Nexthop(2, bytes([203, 0, 113, 2]))})),
        (7, frozenset({VIA, Nexthop(4, bytes([203, 0, 113, 7]))})),
    }
    assert table.towards == {Nexthop(3, b""), Nexthop(3, bytes([10, 0, 1, 9]))}


def test_ipv6() -> None:
    table = parsed(DUMP6, V6)
    assert [(one.metric, one.nexthops) for one in table.defaults] == [
        (1024, frozenset({Nexthop(2, ip_address("fe80::1").packed)}))
    ]
    assert table.towards == {Nexthop(3, b"")}


def test_a_kernel_that_sends_every_family_and_table_is_sorted_out_here() -> None:
    other = rtnetlink.route("203.0.113.1", 2, table=100) + rtnetlink.route("10.0.1.1", 3, to="10.0.9.0/24", table=1000)
    local = rtnetlink.route("", 3, to="10.0.1.1/32", table=LOCAL)
    assert parsed(other + local + DUMP6) == Table(frozenset(), frozenset())
    assert parsed(other + DUMP6 + local + DUMP) == parsed(DUMP)


@pytest.mark.parametrize(
    ("data", "usable"),
    [
        (DEFAULT, True),
        (rtnetlink.route("203.0.113.1", 2, flags=DEAD), False),
        (rtnetlink.route("203.0.113.1", 2, flags=LINKDOWN), False),
        (rtnetlink.route("203.0.113.1", 2, ("203.0.113.2", 3, 0), flags=LINKDOWN), True),
        (rtnetlink.route("203.0.113.1", 2, ("203.0.113.2", 3, DEAD), flags=LINKDOWN), False),
        (rtnetlink.route("", 0), True),  # a nexthop object that the kernel does not spell out
    ],
)
def test_a_default_route_is_usable_while_one_of_its_ways_is(data: bytes, *, usable: bool) -> None:
    (found,) = parsed(data).defaults
    assert found.usable is usable


@pytest.mark.parametrize("kind", [BLACKHOLE, UNREACHABLE, 8, 2, 0])
def test_a_default_that_leads_nowhere_is_none(kind: int) -> None:
    assert parsed(rtnetlink.route("", 0, kind=kind)).defaults == frozenset()


def test_entries_of_a_cache_are_no_routes() -> None:
    assert parsed(rtnetlink.route("203.0.113.1", 2, flags=CLONED)).defaults == frozenset()


def test_being_usable_does_not_make_it_another_route() -> None:
    assert parsed(DEFAULT).defaults == parsed(rtnetlink.route("203.0.113.1", 2, flags=LINKDOWN)).defaults


def test_a_route_that_covers_a_prefix_leads_to_it_unless_it_stands_in_for_a_default_route() -> None:
    halves = rtnetlink.route("", 8, to="0.0.0.0/1") + rtnetlink.route("", 8, to="128.0.0.0/1")
    assert parsed(rtnetlink.route("", 5, to="8.0.0.0/5") + halves).towards == {Nexthop(5, b"")}


DESTINATIONS = st.sampled_from(
    ["default", "10.0.1.0/24", "10.200.0.0/14", "8.0.0.0/5", "0.0.0.0/1", "198.51.100.0/24", "11.0.0.0/8"]
)
ROUTES = st.builds(
    rtnetlink.route,
    st.sampled_from(["", "192.0.2.1", "192.0.2.2"]),
    st.integers(1, 3),
    to=DESTINATIONS,
    metric=st.integers(0, 3),
    table=st.sampled_from([MAIN, LOCAL, 100, 1000]),
    kind=st.sampled_from([1, 1, 1, 6]),
)


@given(st.lists(ROUTES, max_size=12))
def test_the_short_way_through_a_table_finds_what_the_long_way_does(routes: list[bytes]) -> None:
    long = [route.parse_message(next(netlink.messages(one, route.RTM_NEWROUTE))) for one in routes]
    found = parsed(b"".join(routes))
    assert found.defaults == {one for one in long if one is not None and one.is_default}
    assert found.towards == {
        way
        for one in long
        if one is not None and one.forwards and one.prefix_length >= 4
        if INSIDE.overlap(V4, one.destination, one.prefix_length)
        for way in one.nexthops
    }


@given(st.sampled_from([-1, 1]), DESTINATIONS, st.integers(0, 9))
def test_the_order_of_attributes_does_not_matter(order: int, to: str, metric: int) -> None:
    assert parsed(rtnetlink.route("192.0.2.1", 2, to=to, metric=metric, order=order)) == parsed(
        rtnetlink.route("192.0.2.1", 2, to=to, metric=metric)
    )


@given(st.binary(max_size=80) | damaged(DUMP, DUMP6), st.sampled_from([V4, V6]))
def test_damaged_answers_raise_only_format_errors(data: bytes, family: int) -> None:
    found = attempt(lambda data: route.parse(data, family, INSIDE), data)
    assert found is None or all(one.family == family for one in found.defaults)


@pytest.mark.parametrize(
    "body",
    [bytes(11), bytes([2, 33]) + bytes(10), bytes([2, 24]) + bytes(10) + netlink.attribute(1, bytes(16))],
)
def test_impossible_routes(body: bytes) -> None:
    with pytest.raises(FormatError):
        route.parse_message(memoryview(body))


@pytest.mark.parametrize("family", [V4, V6])
def test_this_machine_agrees_with_ip(family: int) -> None:
    command = ["ip", "-4" if family == V4 else "-6", "-j", "route", "show", "default"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    expected = {(one.get("metric", 0), one.get("gateway")) for one in told if "nexthops" not in one}
    defaults: frozenset[Route] = frozenset()
    # Unavailable where nothing was ever put into the table.
    with closing(LiveMachine()) as machine, suppress(UnavailableError):
        defaults = route.read(machine, family, INSIDE).defaults
    assert {
        (one.metric, str(ip_address(way.gateway)) if way.gateway else None)
        for one in defaults
        for way in one.nexthops
        if len(one.nexthops) == 1
    } == expected
