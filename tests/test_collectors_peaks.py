import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.collectors.base import Reading, Ticking, run
from natobs.collectors.peaks import Peak, PeaksCollector
from natobs.errors import UnavailableError
from natobs.kernel import link, netlink
from tests.fakes import FakeMachine
from tests.test_kernel_link import LO, NEWSTATS, device

Traffic = tuple[int, int, int, int]
"""Bytes received and sent, packets received and sent."""


def stats64(traffic: Traffic) -> bytes:
    rx_bytes, tx_bytes, rx_packets, tx_packets = traffic
    return struct.pack("=25Q", rx_packets, tx_packets, rx_bytes, tx_bytes, *[0] * 21)


def machine(cheap: bool = True, **devices: Traffic) -> FakeMachine:  # noqa: FBT001, FBT002  the other names are devices
    links = LO
    counters = b""
    for index, (name, traffic) in enumerate(devices.items(), start=2):
        links += device(index, name, stats64=stats64(traffic))
        body = struct.pack("=B3xII", 0, index, 1) + netlink.attribute(1, stats64(traffic))
        counters += netlink.request(NEWSTATS, 0, 1, body)
    answers: dict[str, bytes | Exception] = {link.LINKS.key: links, link.COUNTERS.key: counters}
    if not cheap:
        answers[link.COUNTERS.key] = UnavailableError("unsupported", "no RTM_GETSTATS")
    return FakeMachine(answers)


def values(reading: Reading) -> dict[str, float]:
    return {
        " ".join((sample.metric.name, *sample.labels)).removeprefix("natobs_network_peak_"): sample.value
        for sample in reading.samples
    }


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def sampled(collector: PeaksCollector, clock: Clock, *machines: FakeMachine) -> None:
    for one in machines:
        clock.now += 1
        collector.tick(one)


def test_before_two_samples_there_is_nothing_and_no_zero() -> None:
    clock = Clock()
    collector = PeaksCollector(1, clock)
    assert isinstance(collector, Ticking)
    for _samples in range(2):
        outcome = run(collector, machine())
        assert outcome.success
        assert (outcome.samples, [gap.reason for gap in outcome.gaps]) == ((), ["absent"])
        sampled(collector, clock, machine(eth0=(10, 10, 1, 1)))


@pytest.mark.parametrize("cheap", [True, False])
def test_the_largest_rate_of_the_last_minute(cheap: bool) -> None:  # noqa: FBT001  both ways to sample
    clock = Clock()
    collector = PeaksCollector(1, clock)
    steps: list[Traffic] = [(0, 0, 0, 0), (1000, 20, 5, 1), (1100, 520, 6, 2), (1200, 530, 106, 2)]
    sampled(collector, clock, *(machine(cheap, eth0=step) for step in steps))
    assert values(collector.collect(machine())) == {
        "bytes_per_second eth0 receive": 1000,
        "bytes_per_second eth0 transmit": 500,
        "packets_per_second eth0 receive": 100,
        "packets_per_second eth0 transmit": 1,
    }
    for _second in range(58):
        sampled(collector, clock, machine(cheap, eth0=steps[-1]))
    assert values(collector.collect(machine()))["bytes_per_second eth0 transmit"] == 500
    sampled(collector, clock, machine(cheap, eth0=steps[-1]))
    assert values(collector.collect(machine()))["bytes_per_second eth0 transmit"] == 10
    sampled(collector, clock, machine(cheap, eth0=steps[-1]))
    assert set(values(collector.collect(machine())).values()) == {0}


def test_sampling_asks_for_counters_only_and_scraping_for_nothing() -> None:
    clock = Clock()
    collector = PeaksCollector(1, clock)
    subject = machine(eth0=(0, 0, 0, 0))
    sampled(collector, clock, *[subject] * 20)
    assert subject.asked.count(link.LINKS.key) == 2
    assert subject.asked.count(link.COUNTERS.key) == 18
    subject.asked.clear()
    collector.collect(subject)
    assert subject.asked == []


def test_devices_come_and_go() -> None:
    clock = Clock()
    collector = PeaksCollector(1, clock)
    both = [machine(eth0=(step, 0, 0, 0), eth1=(step * 7, 0, 0, 0)) for step in range(20)]
    sampled(collector, clock, *both)
    assert values(collector.collect(machine()))["bytes_per_second eth1 receive"] == 7
    sampled(collector, clock, machine(eth0=(20, 0, 0, 0)))
    assert {name.split()[1] for name in values(collector.collect(machine()))} == {"eth0"}
    # It comes back with counters of its own; its old ones mean nothing any more.
    sampled(collector, clock, *(machine(eth0=(21 + step, 0, 0, 0), eth1=(step, 0, 0, 0)) for step in range(12)))
    assert values(collector.collect(machine()))["bytes_per_second eth1 receive"] == 1


def test_a_reset_counter_makes_no_rate() -> None:
    clock = Clock()
    collector = PeaksCollector(1, clock)
    sampled(collector, clock, *(machine(eth0=(step, 5, 5, 5)) for step in (1 << 40, 10, 30)))
    assert values(collector.collect(machine()))["bytes_per_second eth0 receive"] == 20


def test_a_sampler_that_fails_says_so_and_what_it_saw_is_kept_for_a_minute() -> None:
    clock = Clock()
    collector = PeaksCollector(1, clock)
    sampled(collector, clock, machine(eth0=(0, 0, 0, 0)), machine(eth0=(5, 0, 0, 0)))
    broken = FakeMachine({key: UnavailableError("busy", "not now") for key in (link.LINKS.key, link.COUNTERS.key)})
    with pytest.raises(UnavailableError):
        sampled(collector, clock, broken)
    reading = collector.collect(machine())
    assert [gap.reason for gap in reading.gaps] == ["busy"]
    assert values(reading)["bytes_per_second eth0 receive"] == 5
    clock.now += 60
    assert not collector.collect(machine()).samples


def test_the_sampler_is_never_faster_than_once_a_second() -> None:
    assert PeaksCollector(0.1).tick_seconds == 1
    assert PeaksCollector(5).tick_seconds == 5


def test_two_samples_in_quick_succession_make_no_rate() -> None:
    peak = Peak()
    peak.add(0.0, (0,))
    peak.add(0.001, (1500,))
    assert peak.largest(0.001) is None
    peak.add(1.0, (1500,))
    assert peak.largest(1.0) == (1500,)


SAMPLES = st.lists(st.tuples(st.floats(0.6, 100), st.integers(0, 1 << 64)), max_size=200)


@given(SAMPLES)
def test_the_ring_agrees_with_a_plain_search_and_stays_small(samples: list[tuple[float, int]]) -> None:
    peak, when, taken = Peak(), 0.0, list[tuple[float, int]]()
    for step, value in samples:
        when += step
        peak.add(when, (value, value // 2))
        taken.append((when, value))
    rates = [
        (value - before) / (now - then)
        for (then, before), (now, value) in pairwise(taken)
        if value >= before and now > when - 60
    ]
    found = peak.largest(when)
    assert (found is None) == (not rates)
    assert found is None or found[0] == max(rates)
    assert len(peak._ends) <= 121
