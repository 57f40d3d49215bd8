from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel.address import AF_INET, AF_INET6, Prefixes
from natobs.kernel.residence import SETTLE_SECONDS, TIMEOUT_SECONDS, Passage, Passages
from natobs.kernel.tap import Sighting
from tests.probe_packets import CLIENT, CLIENT6, SERVER, SERVER6, SNAT, SNAT6, token

INSIDE = Prefixes((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
START = 1_700_000_000_000_000_000


class Where(TypedDict, total=False):
    """By default: packet 1, received at eth0."""

    out: bool
    number: int
    device: str


def seen(source: str, destination: str, at: int, **where: Unpack[Where]) -> Sighting:
    near, far = ip_address(source), ip_address(destination)
    family = AF_INET if near.version == 4 else AF_INET6
    device, out, mark = where.get("device", "eth0"), where.get("out", False), token(where.get("number", 1))
    return Sighting(START + at, device, out, family, near.packed, far.packed, mark, 0)


def request_in(at: int, number: int = 1, device: str = "eth0") -> Sighting:
    return seen(CLIENT, SERVER, at, number=number, device=device)


def request_out(at: int, number: int = 1, device: str = "eth0") -> Sighting:
    return seen(SNAT, SERVER, at, out=True, number=number, device=device)


def reply_in(at: int, number: int = 1, device: str = "eth0") -> Sighting:
    return seen(SERVER, SNAT, at, number=number, device=device)


def reply_out(at: int, number: int = 1, device: str = "eth0") -> Sighting:
    return seen(SERVER, CLIENT, at, out=True, number=number, device=device)


def probe(number: int = 1, devices: tuple[str, str] = ("eth0", "eth0")) -> list[Sighting]:
    """A probe at all four points: 30 us out, 1 ms away, 20 us back."""
    inside, outside = devices
    return [
        request_in(0, number, inside),
        request_out(30_000, number, outside),
        reply_in(1_030_000, number, outside),
        reply_out(1_050_000, number, inside),
    ]


def settled(sightings: Sequence[Sighting], passages: Passages | None = None) -> list[Passage]:
    """What becomes of packets that are all seen at once, after they have timed out."""
    subject = Passages(INSIDE) if passages is None else passages
    early = [passage for sighting in sightings for passage in subject.see(sighting, 100.0)]
    late = subject.settle(100.0 + TIMEOUT_SECONDS)
    assert len(subject) == 0
    return sorted(early + late, key=lambda passage: (passage.direction, passage.source, passage.nanoseconds or 0))


def passage(direction: str, nanoseconds: int | None, arrivals: int = 1, departures: int = 1) -> Passage:
    source = ip_address(CLIENT).packed
    return Passage(direction, source, arrivals, departures, nanoseconds)  # type: ignore[arg-type]  # tests know both


@pytest.mark.parametrize("devices", [("eth0", "eth0"), ("eth1", "eth0")], ids=["one-armed", "two-armed"])
def test_a_probe_is_seen_at_four_points(devices: tuple[str, str]) -> None:
    assert settled(probe(devices=devices)) == [passage("back", 20_000), passage("out", 30_000)]


def test_ipv6_without_translation() -> None:
    sightings = [
        seen(CLIENT6, SERVER6, 0),
        seen(CLIENT6, SERVER6, 5_000, out=True),
        seen(SERVER6, CLIENT6, 9_000),
        seen(SERVER6, CLIENT6, 12_000, out=True),
    ]
    assert [(one.direction, one.nanoseconds) for one in settled(sightings)] == [("back", 3_000), ("out", 5_000)]


def test_ipv6_with_translation() -> None:
    sightings = [seen(CLIENT6, SERVER6, 0), seen(SNAT6, SERVER6, 5_000, out=True)]
    assert [(one.direction, one.nanoseconds) for one in settled(sightings)] == [("out", 5_000)]


def test_a_snat_address_that_is_private_too() -> None:
    """Behind a 1:1 cloud NAT the VM translates to its own private address."""
    own = "10.0.0.5"
    sightings = [
        seen(CLIENT, SERVER, 0),
        seen(own, SERVER, 30_000, out=True),
        seen(SERVER, own, 1_000_000),
        seen(SERVER, CLIENT, 1_020_000, out=True),
    ]
    assert settled(sightings) == [passage("back", 20_000), passage("out", 30_000)]


@given(st.permutations(probe(1)[:2] + probe(2)[:2]))
def test_requests_may_be_told_in_any_order(sightings: list[Sighting]) -> None:
    assert settled(sightings) == [passage("out", 30_000)] * 2


@given(st.permutations(probe(1)[2:] + probe(2)[2:]))
def test_answers_may_be_told_in_any_order(sightings: list[Sighting]) -> None:
    subject = Passages(INSIDE)
    for sighting in [*probe(1)[:2], *probe(2)[:2]]:
        subject.see(sighting, 100.0)
    assert settled(sightings, subject) == [passage("back", 20_000)] * 2 + [passage("out", 30_000)] * 2


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ((0,), [passage("out", None, 1, 0)]),
        ((0, 1), [passage("out", 30_000)]),
        ((0, 1, 2), [passage("back", None, 1, 0), passage("out", 30_000)]),
        ((0, 1, 3), [passage("back", None, 0, 1), passage("out", 30_000)]),
        ((0, 2, 3), [passage("back", 20_000), passage("out", None, 1, 0)]),
    ],
)
def test_where_a_packet_was_lost_shows(points: tuple[int, ...], expected: list[Passage]) -> None:
    assert settled([probe()[point] for point in points]) == expected


@pytest.mark.parametrize(
    "sightings",
    [
        [seen(SNAT, SERVER, 0, out=True), seen(SERVER, SNAT, 900)],  # a probe of the NAT's own
        [seen("10.0.0.5", SERVER, 0, out=True), seen(SERVER, "10.0.0.5", 900)],  # the same, behind a 1:1 NAT
        [seen(SERVER, SNAT, 0), seen(SNAT, SERVER, 5, out=True)],  # somebody outside probes the NAT
        [seen(SERVER, SNAT, 0), seen(SERVER, CLIENT, 5, out=True)],  # a port that is forwarded
        [seen(SERVER, CLIENT, 5, out=True)],  # an answer without a request
        [seen(CLIENT, "10.0.2.1", 0), seen(CLIENT, "10.0.2.1", 9, out=True)],  # between private hosts
        [seen(CLIENT, "10.0.1.1", 0), seen("10.0.1.1", CLIENT, 9, out=True)],  # the NAT's inner address
        [seen(CLIENT, SNAT, 0), seen(SNAT, CLIENT, 9, out=True)],  # its outer address, from the inside
    ],
)
def test_what_does_not_pass_the_nat_is_no_business_of_ours(sightings: list[Sighting]) -> None:
    assert settled(sightings) == []


def test_duplicates_are_counted_where_they_are_seen_and_measured_once() -> None:
    first, left, *_ = probe()
    again = [request_in(500_000), request_out(530_000), request_out(531_000)]
    assert settled([first, left, *again]) == [passage("out", 30_000, arrivals=2, departures=3)]


def test_a_packet_leaves_by_the_last_of_the_devices_below_one_another() -> None:
    sightings = [
        request_in(0, device="eth1"),
        request_in(0, device="eth1.7"),
        request_out(20_000, device="bond0.9"),
        request_out(21_000, device="bond0"),
        request_out(26_000, device="eth0"),
    ]
    assert settled(sightings) == [passage("out", 26_000)]


def test_a_packet_is_settled_soon_after_both_ends_and_late_after_one() -> None:
    subject = Passages(INSIDE)
    assert subject.see(request_in(0, 1), 100.0) == []
    assert subject.see(request_in(0, 2), 100.0) == []
    assert subject.see(request_out(40_000, 2), 100.5) == []
    assert subject.settle(100.5 + SETTLE_SECONDS - 0.01) == []
    assert subject.settle(100.5 + SETTLE_SECONDS) == [passage("out", 40_000)]
    assert subject.settle(100.0 + TIMEOUT_SECONDS - 0.01) == []
    assert subject.settle(100.0 + TIMEOUT_SECONDS) == [passage("out", None, 1, 0)]
    assert subject.settle(1000.0) == []


def test_an_answer_that_comes_after_minutes_is_still_one() -> None:
    subject = Passages(INSIDE)
    assert settled(probe()[:2], subject) == [passage("out", 30_000)]
    assert settled(probe()[2:], subject) == [passage("back", 20_000)]


@pytest.mark.parametrize("leaving", [-1, int(TIMEOUT_SECONDS * 1e9) + 1])
def test_a_clock_that_was_set_meanwhile_gives_no_time(leaving: int) -> None:
    assert settled([request_in(0), request_out(leaving)]) == [passage("out", None)]


def test_the_oldest_makes_room_and_is_missed() -> None:
    subject = Passages(INSIDE, most_open=3)
    early = [one for number in range(5) for one in subject.see(request_in(number, number), 100.0)]
    assert early == [passage("out", None, 1, 0)] * 2
    assert len(subject) == 3
    assert subject.see(request_out(30, 4), 100.0) == []  # the latest are still there
    assert len(subject) == 3
    assert subject.see(request_out(30, 0), 100.0) == []  # the first is not: this is the other half of it
    assert subject.settle(200.0) == [passage("out", None, 1, 0)] * 2 + [passage("out", None, 0, 1)] + [
        passage("out", 26)
    ]


def test_packets_seen_at_both_ends_are_bounded_too_and_none_is_missed() -> None:
    subject = Passages(INSIDE, most_open=3)
    sightings = [one for number in range(9) for one in probe(number)[:2]]
    assert [one.nanoseconds for sighting in sightings for one in subject.see(sighting, 100.0)] == [30_000] * 6
    assert len(subject) == 3


def test_known_requests_are_bounded_and_the_latest_are_kept() -> None:
    subject = Passages(INSIDE, most_known=2)
    for number in (1, 2, 1, 3):
        subject.see(request_in(0, number), 100.0)
    subject.settle(200.0)
    for number in (1, 2, 3):
        subject.see(reply_in(0, number), 200.0)
    assert len(subject) == 2


@given(
    st.lists(
        st.builds(
            seen,
            st.sampled_from([CLIENT, SNAT, SERVER, "10.0.0.5"]),
            st.sampled_from([CLIENT, SNAT, SERVER, "10.0.0.5"]),
            st.integers(0, 10**10),
            out=st.booleans(),
            number=st.integers(0, 4),
            device=st.sampled_from(["eth0", "eth1", ""]),
        ),
        max_size=60,
    )
)
def test_whatever_is_seen_is_bounded_and_settled_in_the_end(sightings: list[Sighting]) -> None:
    subject = Passages(INSIDE, most_open=3, most_known=3)
    found: list[Passage] = []
    for place, sighting in enumerate(sightings):
        found += subject.see(sighting, 100.0 + place / 20)
        assert len(subject) <= 6
    found += subject.settle(10_000.0)
    assert len(subject) == 0
    assert sum(one.arrivals + one.departures for one in found) <= len(sightings)
    assert all(one.arrivals or one.departures for one in found)
    assert all(one.nanoseconds is None or 0 <= one.nanoseconds <= TIMEOUT_SECONDS * 1e9 for one in found)
