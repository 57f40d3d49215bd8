import threading
from ipaddress import ip_network

import pytest

from natobs.collectors.background import Background
from natobs.collectors.base import Reading, run
from natobs.collectors.routing import RoutingCollector
from natobs.config import Nat, Prefix
from natobs.errors import FormatError, UnavailableError
from natobs.kernel import address, device, route
from natobs.kernel.machine import FROM_NOW_ON, Query, StreamName
from tests import rtnetlink
from tests.fakes import FakeMachine
from tests.rtnetlink import LINKDOWN, V6

LINKS = rtnetlink.link(2, "eth0") + rtnetlink.link(3, "eth1")
ADDRESSES = rtnetlink.address(2, "203.0.113.10/24") + rtnetlink.address(3, "10.0.1.1/24")
DEFAULT = rtnetlink.route("203.0.113.1", 2)
NO_DEFAULT = rtnetlink.route("203.0.113.1", 2, removed=True)
INSIDE = rtnetlink.route("", 3, to="10.0.1.0/24")


def machine(routes: bytes = DEFAULT + INSIDE, routes6: bytes = b"", addresses: bytes = ADDRESSES) -> FakeMachine:
    return FakeMachine(
        {
            device.DEVICES.key: LINKS + rtnetlink.done(),
            address.ADDRESSES.key: addresses + rtnetlink.done(),
            route.ROUTES[address.AF_INET].key: routes + rtnetlink.done(),
            route.ROUTES[address.AF_INET6].key: routes6 + rtnetlink.done(),
        },
        streams={StreamName.ROUTE_EVENTS: [FROM_NOW_ON]},
    )


def listening(on: FakeMachine) -> RoutingCollector:
    subject = RoutingCollector(Nat())
    Background([subject], on).prime()
    return subject


def values(reading: Reading) -> dict[str, float]:
    return {" ".join((sample.metric.name[7:], *sample.labels)): sample.value for sample in reading.samples}


def changes(subject: RoutingCollector, on: FakeMachine) -> dict[str, float]:
    return {name: value for name, value in values(subject.collect(on)).items() if "_total" in name and value}


def test_without_the_ipv4_table_no_side_is_guessed() -> None:
    private = rtnetlink.address(2, "192.168.7.10/24") + rtnetlink.address(3, "10.0.1.1/24")
    on = machine(addresses=private)
    on.answers[route.ROUTES[address.AF_INET].key] = UnavailableError("busy", "changed during each of 3 dumps")
    reading = listening(on).collect(on)
    assert [gap.reason for gap in reading.gaps] == ["busy"]
    assert not [name for name in values(reading) if name.startswith(("device_role", "default_route"))]


def test_everything_there_is_at_the_start() -> None:
    on = machine()
    reading = listening(on).collect(on)
    assert not reading.gaps
    assert values(reading) == {
        "default_route_present ipv4": 1,
        "device_role_info eth0 outside": 1,
        "device_role_info eth1 inside": 1,
        **{
            f"route_changes_total {kind}": 0
            for kind in ("default_added", "default_removed", "default_changed", "added", "removed", "changed")
        },
        "address_changes_total eth0": 0,
        "address_changes_total eth1": 0,
        "link_changes_total eth0": 0,
        "link_changes_total eth1": 0,
        "route_events_lost_total": 0,
    }


@pytest.mark.parametrize(
    ("routes", "present"),
    [
        (DEFAULT, 1),
        (INSIDE, 0),
        (rtnetlink.route("203.0.113.1", 2, flags=LINKDOWN), 0),
        (rtnetlink.route("203.0.113.1", 2, flags=LINKDOWN) + rtnetlink.route("203.0.113.9", 3, metric=9), 1),
        (rtnetlink.route("", 0, kind=rtnetlink.BLACKHOLE), 0),
        (rtnetlink.route("203.0.113.1", 2, table=100), 0),
    ],
)
def test_a_default_route_is_one_that_leads_somewhere(routes: bytes, present: int) -> None:
    found = values(RoutingCollector(Nat()).collect(machine(routes)))
    assert found["default_route_present ipv4"] == present


def test_a_family_is_expected_once_it_had_a_routable_address_and_for_good() -> None:
    subject = RoutingCollector(Nat())
    local = ADDRESSES + rtnetlink.address(2, "fd00::5/64") + rtnetlink.address(2, "fe80::5/64", scope=253)
    assert "default_route_present ipv6" not in values(subject.collect(machine(addresses=local)))
    routable = ADDRESSES + rtnetlink.address(2, "2001:db8::5/64")
    assert values(subject.collect(machine(addresses=routable)))["default_route_present ipv6"] == 0
    assert values(subject.collect(machine(addresses=local)))["default_route_present ipv6"] == 0


def test_a_default_route_without_a_routable_address_is_shown() -> None:
    on = machine(routes6=rtnetlink.route("fe80::1", 2, family=V6, metric=1024))
    assert values(RoutingCollector(Nat()).collect(on))["default_route_present ipv6"] == 1


def test_the_outside_stays_known_while_there_is_no_default_route() -> None:
    subject = RoutingCollector(Nat())
    subject.collect(machine())
    found = values(subject.collect(machine(INSIDE)))
    assert found["device_role_info eth0 outside"] == 1
    assert found["default_route_present ipv4"] == 0


@pytest.mark.parametrize(
    ("flags", "sides"),
    [
        (rtnetlink.UP, {"device_role_info eth0 outside", "device_role_info eth1 inside"}),
        (0, {"device_role_info eth0 both"}),  # somebody switched it off
        (rtnetlink.UP | rtnetlink.LOWER_UP, {"device_role_info eth0 both"}),
    ],
)
def test_an_inside_without_carrier_stays_inside_though_its_addresses_are_gone(flags: int, sides: set[str]) -> None:
    subject = RoutingCollector(Nat())
    subject.collect(machine())
    on = machine(DEFAULT, addresses=rtnetlink.address(2, "203.0.113.10/24"))
    on.answers[device.DEVICES.key] = (
        rtnetlink.link(2, "eth0") + rtnetlink.link(3, "eth1", flags=flags) + rtnetlink.done()
    )
    for _scrape in range(2):
        assert {name for name in values(subject.collect(on)) if name.startswith("device_role")} == sides


def test_configured_prefixes_decide_what_is_inside() -> None:
    subject = RoutingCollector(Nat(inside=(Prefix("203.0.113.0/24"),)))
    assert ip_network("203.0.113.0/24") == Nat(inside=(Prefix("203.0.113.0/24"),)).inside[0].network
    found = values(subject.collect(machine()))
    assert {name for name in found if name.startswith("device_role")} == {"device_role_info eth0 both"}


def test_an_event_and_the_dump_that_confirms_it_count_once() -> None:
    on = machine()
    subject = listening(on)
    subject.hear(NO_DEFAULT)
    on.answers[route.ROUTES[address.AF_INET].key] = INSIDE
    for _scrape in range(3):
        assert changes(subject, on) == {"route_changes_total default_removed": 1}


def test_what_no_event_told_is_found_by_the_tick_after_a_link_event() -> None:
    on = machine()
    subject = listening(on)
    asked = len(on.asked)
    subject.tick(on)
    assert len(on.asked) == asked  # nothing is due, nothing is read
    subject.hear(rtnetlink.address(2, "203.0.113.10/24", removed=True))
    on.answers[route.ROUTES[address.AF_INET].key] = INSIDE
    on.answers[address.ADDRESSES.key] = rtnetlink.address(3, "10.0.1.1/24")
    subject.tick(on)
    assert len(on.asked) == asked + 4
    assert subject._state.route_changes["default_removed"] == 1
    assert changes(subject, on) == {"route_changes_total default_removed": 1, "address_changes_total eth0": 1}


def test_lost_events_are_counted_and_made_up_for() -> None:
    on = machine()
    subject = listening(on)
    with pytest.raises(FormatError):
        subject.hear(b"junk")
    subject.miss(FormatError("junk"))
    subject.miss(UnavailableError("busy", "more came than could be queued"))
    on.answers[route.ROUTES[address.AF_INET].key] = INSIDE
    subject.tick(on)
    assert changes(subject, on) == {"route_events_lost_total": 2, "route_changes_total default_removed": 1}


def test_an_event_during_a_dump_outweighs_the_dump() -> None:
    class Racing(FakeMachine):
        def ask(self, query: Query) -> bytes:
            answer = super().ask(query)
            if query.key == route.ROUTES[address.AF_INET6].key:
                subject.hear(NO_DEFAULT)  # the route had been dumped a moment before
            return answer

    on = machine()
    subject = listening(on)
    assert changes(subject, Racing(on.answers)) == {"route_changes_total default_removed": 1}
    on.answers[route.ROUTES[address.AF_INET].key] = INSIDE
    subject.tick(on)
    assert changes(subject, on) == {"route_changes_total default_removed": 1}


def test_without_the_stream_there_is_a_gap_and_no_zero() -> None:
    on = machine()
    on.streams.clear()
    subject = RoutingCollector(Nat())
    Background([subject], on).prime()
    outcome = run(subject, on)
    assert [gap.detail for gap in outcome.gaps] == ["stream route-events: not on this fake machine"]
    assert {sample.metric.name for sample in outcome.samples} == {
        "natobs_default_route_present",
        "natobs_device_role_info",
    }


@pytest.mark.parametrize("missing", [device.DEVICES, address.ADDRESSES, *route.ROUTES.values()])
def test_a_part_that_cannot_be_read_is_a_gap_and_changes_nothing(missing: Query) -> None:
    on = machine()
    subject = listening(on)
    on.answers[missing.key] = UnavailableError("busy", "changed during each of 3 dumps")
    subject.hear(FROM_NOW_ON)
    reading = subject.collect(on)
    assert [gap.reason for gap in reading.gaps] == ["busy"]
    assert changes(subject, on) == {}
    if missing in route.ROUTES.values():
        assert "default_route_present ipv6" not in values(reading)


def test_hearing_and_collecting_at_once_loses_no_event() -> None:
    on = machine()
    subject = listening(on)
    scrapes = threading.Thread(target=lambda: [subject.collect(on) for _ in range(200)])
    scrapes.start()
    for _flap in range(500):
        subject.hear(rtnetlink.link(3, "eth1", 0) + rtnetlink.link(3, "eth1"))
    scrapes.join()
    assert changes(subject, on)["link_changes_total eth1"] == 1000
