from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel import address, device, netlink, route, route_events
from natobs.kernel.address import Address
from natobs.kernel.device import MOST_DEVICES, Device
from natobs.kernel.route import Route
from natobs.kernel.route_changes import OTHER, RouteChanges
from tests import rtnetlink
from tests.rtnetlink import BLACKHOLE, LOCAL, UP, V4, V6

DEFAULT = rtnetlink.route("203.0.113.1", 2)
SECOND = rtnetlink.route("203.0.113.2", 2)
BACKUP = rtnetlink.route("192.0.2.1", 3, metric=100)
DEFAULT6 = rtnetlink.route("fe80::1", 2, family=V6, metric=1024)
LINKS = rtnetlink.link(1, "lo", UP | rtnetlink.LOWER_UP) + rtnetlink.link(2, "eth0") + rtnetlink.link(3, "eth1")
ADDRESSES = rtnetlink.address(2, "203.0.113.10/24") + rtnetlink.address(2, "fe80::2/64", scope=253)
ADDRESSES += rtnetlink.address(1, "127.0.0.1/8", scope=254)


def devices(data: bytes = LINKS) -> dict[int, Device]:
    return device.parse(data)


def addresses(data: bytes = ADDRESSES) -> frozenset[Address]:
    return address.parse(data)


def tables(*messages: bytes) -> dict[int, frozenset[Route]]:
    found = [route.parse_message(body) for one in messages for body in netlink.messages(one, route.RTM_NEWROUTE)]
    return {family: frozenset(one for one in found if one is not None and one.family == family) for family in (V4, V6)}


def known(*messages: bytes) -> RouteChanges:
    """Give a memory that has seen the links and addresses above, and these default routes."""
    changes = RouteChanges()
    changes.compare(devices(), addresses(), tables(*messages))
    return changes


def tell(changes: RouteChanges, *messages: bytes) -> dict[str, int]:
    """Tell events, and give what has been counted so far."""
    for event in route_events.parse(b"".join(messages)):
        changes.apply(event)
    return counted(changes)


def counted(changes: RouteChanges) -> dict[str, int]:
    named = {f"address {name}": count for name, count in changes.address_changes.items()}
    named |= {f"link {name}": count for name, count in changes.link_changes.items()}
    return {name: count for name, count in (changes.route_changes | named).items() if count}


def removed(message: bytes) -> bytes:
    return message[:4] + (message[4] + 1).to_bytes(1, "little") + message[5:]


def test_the_first_dump_is_the_base_and_names_the_devices() -> None:
    changes = known(DEFAULT)
    assert counted(changes) == {}
    assert set(changes.address_changes) == set(changes.link_changes) == {"eth0"}


def test_events_before_the_base_count_nothing() -> None:
    changes = RouteChanges()
    assert tell(changes, removed(DEFAULT), rtnetlink.link(2, "eth0", 0)) == {}
    assert changes.stale


@pytest.mark.parametrize(
    ("before", "events", "expected"),
    [
        ([DEFAULT], [removed(DEFAULT)], {"default_removed": 1}),
        ([DEFAULT], [removed(DEFAULT), DEFAULT], {"default_removed": 1, "default_added": 1}),
        ([DEFAULT], [DEFAULT, DEFAULT], {}),
        ([], [removed(DEFAULT)], {}),
        ([], [DEFAULT, SECOND], {"default_added": 2}),
        ([DEFAULT], [BACKUP], {"default_added": 1}),
        ([DEFAULT], [rtnetlink.route("203.0.113.2", 2, replaced=True)], {"default_changed": 1}),
        ([DEFAULT], [rtnetlink.route("203.0.113.1", 2, replaced=True)], {}),
        ([DEFAULT6], [rtnetlink.route("fe80::1", 2, family=V6, metric=1024, replaced=True)] * 3, {}),
        # IPv6 tells of all ways when one is added, of one when one is removed.
        (
            [DEFAULT6],
            [rtnetlink.route("fe80::1", 2, ("fe80::3", 2, 0), family=V6, metric=1024)],
            {"default_changed": 1},
        ),
        (
            [rtnetlink.route("fe80::1", 2, ("fe80::3", 2, 0), family=V6, metric=1024)],
            [removed(rtnetlink.route("fe80::3", 2, family=V6, metric=1024)), removed(DEFAULT6)],
            {"default_changed": 1, "default_removed": 1},
        ),
        # A second router of its own is another route, not another way of the first.
        ([DEFAULT6], [rtnetlink.route("fe80::3", 2, family=V6, metric=1024)], {"default_added": 1}),
        ([], [rtnetlink.route("", 2, to="10.0.1.0/24")], {"added": 1}),
        ([], [removed(rtnetlink.route("", 2, to="10.0.1.0/24"))], {"removed": 1}),
        ([], [rtnetlink.route("192.0.2.1", 2, table=100)], {"added": 1}),
        ([], [rtnetlink.route("", 2, to="10.0.1.1/32", table=LOCAL)], {}),
        ([], [rtnetlink.route("", 2, to="10.0.1.0/24", flags=rtnetlink.CLONED)], {}),
        ([], [rtnetlink.route("", 2, to="10.0.1.0/24", replaced=True)] * 5, {"changed": 1}),
        (
            [],
            [rtnetlink.route(via, 2, to="10.0.1.0/24", replaced=True) for via in ("10.1.0.1", "10.1.0.2", "10.1.0.1")],
            {"changed": 3},
        ),
    ],
)
def test_routes(before: list[bytes], events: list[bytes], expected: dict[str, int]) -> None:
    assert tell(known(*before), *events) == expected


def test_replacements_that_are_remembered_are_bounded() -> None:
    changes = known()
    for number in range(3000):
        tell(changes, rtnetlink.route("", 2, to=f"10.{number // 256}.{number % 256}.0/24", replaced=True))
    assert changes.route_changes["changed"] == 3000
    assert len(changes._replaced) == 1024


def test_a_blackhole_in_place_of_the_default_route_asks_for_a_dump() -> None:
    changes = known(DEFAULT)
    assert tell(changes, rtnetlink.route("", 0, kind=BLACKHOLE, replaced=True)) == {"changed": 1}
    assert changes.stale
    changes.compare(devices(), addresses(), tables())
    assert counted(changes) == {"changed": 1, "default_removed": 1}


def test_switching_a_link_off_takes_its_ipv4_default_routes_without_a_word() -> None:
    changes = known(DEFAULT, BACKUP, DEFAULT6)
    assert tell(changes, rtnetlink.link(2, "eth0", 0)) == {"link eth0": 1, "default_removed": 1}
    assert changes.stale
    # The dump that follows agrees; IPv6 is told by an event of its own.
    changes.compare(devices(LINKS + rtnetlink.link(2, "eth0", 0)), addresses(), tables(BACKUP, DEFAULT6))
    assert counted(changes) == {"link eth0": 1, "default_removed": 1}
    assert not changes.stale


def test_a_flap_with_the_route_restored_counts_all_of_it() -> None:
    found = tell(known(DEFAULT), rtnetlink.link(2, "eth0", 0), rtnetlink.link(2, "eth0"), DEFAULT)
    assert found == {"link eth0": 2, "default_removed": 1, "default_added": 1}


def test_losing_the_carrier_keeps_the_routes() -> None:
    assert tell(known(DEFAULT), rtnetlink.link(2, "eth0", UP)) == {"link eth0": 1}


def test_a_route_with_ways_through_another_device_survives() -> None:
    two = rtnetlink.route("203.0.113.1", 2, ("192.0.2.1", 3, 0))
    assert tell(known(two), rtnetlink.link(2, "eth0", 0)) == {"link eth0": 1}


def test_links_that_say_nothing_new_or_carry_no_address_do_not_count() -> None:
    found = tell(known(), rtnetlink.link(2, "eth0"), rtnetlink.link(3, "eth1", 0), rtnetlink.link(9, "veth9"))
    assert found == {}


def test_a_device_that_is_taken_away() -> None:
    changes = known(DEFAULT)
    gone = rtnetlink.address(2, "203.0.113.10/24", removed=True) + rtnetlink.link(2, "eth0", removed=True)
    assert tell(changes, gone) == {"link eth0": 1, "address eth0": 1, "default_removed": 1}
    assert 2 not in changes.devices


def test_addresses() -> None:
    new, old = rtnetlink.address(2, "203.0.113.11/24"), rtnetlink.address(2, "203.0.113.10/24", removed=True)
    changes = known()
    assert tell(changes, rtnetlink.address(2, "203.0.113.10/24"), rtnetlink.address(2, "fe80::9/64", scope=253)) == {}
    assert tell(changes, old, new, new) == {"address eth0": 2}
    assert changes.stale
    assert tell(changes, rtnetlink.address(3, "10.0.1.1/24")) == {"address eth0": 2, "address eth1": 1}
    assert changes.link_changes["eth1"] == 0
    assert tell(changes, rtnetlink.address(77, "10.0.1.1/24"))[f"address {OTHER}"] == 1


def test_devices_beyond_the_bound_are_counted_together() -> None:
    count = MOST_DEVICES + 10
    links = b"".join(rtnetlink.link(number, f"wg{number}") for number in range(1, count + 1))
    changes = RouteChanges()
    changes.compare(devices(links), frozenset(), tables())
    for number in range(1, count + 1):
        tell(changes, rtnetlink.address(number, f"10.{number}.0.1/24"), rtnetlink.link(number, f"wg{number}", 0))
    assert len(changes.address_changes) == len(changes.link_changes) == MOST_DEVICES + 1
    assert changes.address_changes[OTHER] == changes.link_changes[OTHER] == 10
    assert sum(changes.address_changes.values()) == sum(changes.link_changes.values()) == count


def test_a_dump_counts_what_no_event_told() -> None:
    changes = known(DEFAULT, DEFAULT6)
    later = devices(LINKS + rtnetlink.link(2, "eth0", 0))
    changes.compare(later, addresses(rtnetlink.address(3, "10.0.1.1/24")), tables(BACKUP, DEFAULT6))
    assert counted(changes) == {
        "link eth0": 1,
        "address eth0": 1,
        "address eth1": 1,
        "default_removed": 1,
        "default_added": 1,
    }


def test_a_family_that_could_not_be_read_stays_as_it_was() -> None:
    changes = known(DEFAULT, DEFAULT6)
    changes.compare(devices(), addresses(), {V4: tables(DEFAULT)[V4]})
    changes.compare(devices(), addresses(), tables(DEFAULT, DEFAULT6))
    assert counted(changes) == {}


STEPS = st.lists(st.tuples(st.sampled_from([DEFAULT, SECOND, BACKUP]), st.booleans()), max_size=12)


@given(STEPS, st.sets(st.integers(0, 12), max_size=4), st.integers(0, 6))
def test_dumps_that_run_ahead_of_the_events_change_no_balance(
    steps: Iterable[tuple[bytes, bool]], dumps: set[int], ahead: int
) -> None:
    """A dump may show what queued events have yet to tell: additions minus removals still give what is there."""
    present: list[frozenset[bytes]] = [frozenset()]
    events: list[bytes] = []
    for message, add in steps:
        if (message in present[-1]) != add:
            present.append(present[-1] | {message} if add else present[-1] - {message})
            events.append(message if add else removed(message))
    changes = known()
    for number, event in enumerate(events):
        if number in dumps:
            changes.compare(devices(), addresses(), tables(*present[min(number + ahead, len(events))]))
        tell(changes, event)
    found = changes.route_changes
    assert found["default_added"] - found["default_removed"] == len(changes._defaults)
    changes.compare(devices(), addresses(), tables(*present[-1]))
    assert found["default_added"] - found["default_removed"] == len(present[-1])
    if not dumps:
        assert found["default_added"] + found["default_removed"] == len(events)
