import pytest

from natobs.collectors.allowances import AllowancesCollector
from natobs.collectors.base import Reading, run
from natobs.errors import UnavailableError
from natobs.kernel import link
from natobs.kernel.machine import Ethtool, EthtoolTopic
from tests import nic_fixtures
from tests.fakes import FakeMachine
from tests.test_kernel_ethtool import driver, names
from tests.test_kernel_ethtool import values as statistics
from tests.test_kernel_link import LO, device


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def card(name: str, of: str, texts: tuple[str, ...], step: int = 1) -> dict[str, bytes | Exception]:
    """A device whose statistics have their place, times a step, as their value."""
    return {
        Ethtool(name, EthtoolTopic.DRIVER).key: driver(of),
        Ethtool(name, EthtoolTopic.STRINGS).key: names(*texts),
        Ethtool(name, EthtoolTopic.STATS).key: statistics(*(place * step for place in range(len(texts)))),
    }


def machine(links: bytes, *cards: dict[str, bytes | Exception]) -> FakeMachine:
    answers: dict[str, bytes | Exception] = {link.LINKS.key: LO + links}
    for one in cards:
        answers |= one
    return FakeMachine(answers)


def values(reading: Reading) -> dict[str, float]:
    return {
        " ".join((sample.metric.name, *sample.labels)).removeprefix("natobs_nic_"): sample.value
        for sample in reading.samples
    }


ENA = nic_fixtures.ENA_NEW


def test_what_is_read_is_what_is_exported() -> None:
    collector = AllowancesCollector()
    reading = collector.collect(machine(device(2, "eth0"), card("eth0", "ena", ENA)))
    found = values(reading)
    assert not reading.gaps
    assert found["allowance_exceeded_total eth0 conntrack"] == ENA.index("conntrack_allowance_exceeded")
    assert found["conntrack_allowance_available eth0"] == ENA.index("conntrack_allowance_available")
    assert found["driver_drops_total eth0 rx_no_memory"] == sum(
        ENA.index(f"queue_{queue}_rx_skb_alloc_fail") for queue in (0, 1)
    )
    assert len(found) == 5 + 1 + 4
    assert {sample.metric for sample in reading.samples} == set(collector.metrics)


def test_other_devices_are_looked_at_once_a_minute() -> None:
    clock = Clock()
    collector = AllowancesCollector(clock)
    subject = machine(
        device(2, "eth0") + device(3, "veth0", "veth"),
        card("eth0", "ena", ENA),
        card("veth0", "veth", ("peer_ifindex",)),
    )
    collector.collect(subject)
    stats_of_card = Ethtool("eth0", EthtoolTopic.STATS).key
    assert Ethtool("veth0", EthtoolTopic.STRINGS).key not in subject.asked
    subject.asked.clear()
    collector.collect(subject)
    assert subject.asked == [stats_of_card]
    clock.now = 60.0
    subject.asked.clear()
    collector.collect(subject)
    assert link.LINKS.key in subject.asked


@pytest.mark.parametrize("texts", [nic_fixtures.ENA, nic_fixtures.ENA_OLD])
def test_when_the_queues_change_so_do_the_places(texts: tuple[str, ...]) -> None:
    collector = AllowancesCollector(Clock())
    collector.collect(machine(device(2, "eth0"), card("eth0", "ena", ENA)))
    subject = machine(device(2, "eth0"), card("eth0", "ena", texts, step=3))
    assert values(collector.collect(subject)) == values(AllowancesCollector().collect(subject))


@pytest.mark.parametrize(
    ("statistic", "series"),
    [
        ("rx{}_drops", "driver_drops_total eth0 rx_driver"),
        ("rx{}_hw_ratelimit_packets", "allowance_exceeded_total eth0 rate_in"),
    ],
)
def test_a_sum_does_not_fall_when_a_queue_goes_away(statistic: str, series: str) -> None:
    collector = AllowancesCollector(Clock())

    def drops(*queues: int) -> float:
        virtio = card("eth0", "virtio_net", tuple(statistic.format(number) for number in range(len(queues))))
        virtio[Ethtool("eth0", EthtoolTopic.STATS).key] = statistics(*queues)
        subject = machine(device(2, "eth0"), virtio)
        return values(collector.collect(subject))[series]

    history = [(100, 50), (101,), (104,), (104, 6), (0, 0), (2, 0)]
    assert [drops(*queues) for queues in history] == [150, 150, 153, 159, 159, 161]


def test_a_card_that_is_pulled_out_is_no_failure_and_gone() -> None:
    collector = AllowancesCollector(Clock())
    collector.collect(machine(device(2, "eth0"), card("eth0", "ena", ENA)))
    empty = machine(b"")
    assert run(collector, empty).success
    outcome = run(collector, empty)
    assert (outcome.samples, [gap.reason for gap in outcome.gaps]) == ((), ["absent"])


def test_a_card_that_is_plugged_in_is_seen_within_a_minute() -> None:
    clock = Clock()
    collector = AllowancesCollector(clock)
    assert run(collector, machine(device(3, "veth0", "veth"))).samples == ()
    clock.now = 61.0
    assert run(collector, machine(device(2, "eth0"), card("eth0", "gve", nic_fixtures.GVE))).samples


def test_one_card_that_fails_does_not_hide_the_other() -> None:
    subject = machine(
        device(2, "eth0") + device(3, "eth1"),
        card("eth0", "ena", ENA),
        card("eth1", "mana", nic_fixtures.MANA),
    )
    subject.answers[Ethtool("eth0", EthtoolTopic.STATS).key] = UnavailableError("busy", "the hardware does not answer")
    outcome = run(AllowancesCollector(), subject)
    assert [gap.reason for gap in outcome.gaps] == ["busy"]
    assert {sample.labels[0] for sample in outcome.samples} == {"eth1"}


def test_a_card_that_could_not_be_looked_at_is_looked_at_again() -> None:
    collector = AllowancesCollector(Clock())
    subject = machine(device(2, "eth0"), card("eth0", "ena", ENA))
    names_of_card = Ethtool("eth0", EthtoolTopic.STRINGS).key
    answer, subject.answers[names_of_card] = subject.answers[names_of_card], UnavailableError("busy", "not now")
    assert [gap.reason for gap in run(collector, subject).gaps] == ["busy"]
    subject.answers[names_of_card] = answer
    assert len(run(collector, subject).samples) == 10
