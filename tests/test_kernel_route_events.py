import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import netlink, route_events
from natobs.kernel.route_events import AddressEvent, LinkEvent, RouteEvent
from tests import rtnetlink
from tests.mutate import attempt, damaged

LINK = rtnetlink.link(2, "eth0")
ADDRESS = rtnetlink.address(2, "203.0.113.10/24")
ROUTE = rtnetlink.route("203.0.113.1", 2)


def test_each_kind_of_event() -> None:
    link, address, route = route_events.parse(LINK + ADDRESS + ROUTE)
    assert isinstance(link, LinkEvent)
    assert (link.device.name, link.removed) == ("eth0", False)
    assert isinstance(address, AddressEvent)
    assert (address.address.prefix_length, address.removed) == (24, False)
    assert isinstance(route, RouteEvent)
    assert (route.route.is_default, route.removed, route.replaced) == (True, False, False)


def test_removals_and_replacements() -> None:
    link, address, route, replaced = route_events.parse(
        rtnetlink.link(2, "eth0", removed=True)
        + rtnetlink.address(2, "203.0.113.10/24", removed=True)
        + rtnetlink.route("203.0.113.1", 2, removed=True)
        + rtnetlink.route("203.0.113.2", 2, replaced=True)
    )
    assert [event.removed for event in (link, address, route, replaced)] == [True, True, True, False]
    assert isinstance(replaced, RouteEvent)
    assert replaced.replaced


def test_what_concerns_nobody_is_passed_over() -> None:
    port = rtnetlink.link(2, "veth0", removed=True, family=7)
    neighbour = netlink.request(28, 0, 1, bytes(12))
    assert route_events.parse(port + neighbour) == []


def test_an_overrun_is_no_silence() -> None:
    with pytest.raises(FormatError):
        route_events.parse(netlink.request(netlink.NLMSG_OVERRUN, 0, 1, b""))


@given(st.binary(max_size=80) | damaged(LINK, ADDRESS, ROUTE))
def test_damaged_events_raise_only_format_errors(data: bytes) -> None:
    found = attempt(route_events.parse, data)
    assert found is None or all(isinstance(event, LinkEvent | AddressEvent | RouteEvent) for event in found)
