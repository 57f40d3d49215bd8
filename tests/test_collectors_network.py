import pytest

from natobs.collectors.base import Reading, run
from natobs.collectors.network import NetworkCollector
from natobs.config import Link
from natobs.errors import UnavailableError
from natobs.kernel import link, qdisc
from natobs.kernel.device import MOST_DEVICES
from natobs.kernel.machine import Ethtool, EthtoolTopic
from tests.fakes import FakeMachine
from tests.test_kernel_ethtool import settings
from tests.test_kernel_link import LO, UP_RUNNING, attributes, device, message
from tests.test_kernel_qdisc import ROOT, entry


def speed_of(name: str) -> str:
    return Ethtool(name, EthtoolTopic.SETTINGS).key


def machine(links: bytes, qdiscs: bytes = b"", **speeds: int) -> FakeMachine:
    answers: dict[str, bytes | Exception] = {link.LINKS.key: LO + links, qdisc.QDISCS.key: qdiscs}
    return FakeMachine(answers | {speed_of(name): settings(megabits) for name, megabits in speeds.items()})


def values(reading: Reading) -> dict[str, float]:
    return {
        " ".join((sample.metric.name, *sample.labels)).removeprefix("natobs_"): sample.value
        for sample in reading.samples
    }


def test_what_is_read_is_what_is_exported() -> None:
    card = device(2, "eth0", mtu=9001, changes=3, bus="0000:00:05.0")
    reading = NetworkCollector({}).collect(machine(card, entry(2, "fq", 1, ROOT, (17, 400)), eth0=25_000))
    assert not reading.gaps
    assert values(reading) == {
        "network_devices_left_out": 0,
        "network_receive_packets_total eth0": 1,
        "network_transmit_packets_total eth0": 2,
        "network_receive_bytes_total eth0": 3,
        "network_transmit_bytes_total eth0": 4,
        "network_receive_errors_total eth0": 5,
        "network_transmit_errors_total eth0": 6,
        "network_receive_drops_total eth0": 7,
        "network_transmit_drops_total eth0": 8,
        "network_receive_missed_total eth0": 16,
        "network_carrier_changes_total eth0": 3,
        "network_up eth0": 1,
        "network_mtu_bytes eth0": 9001,
        "network_speed_bytes eth0": 3_125_000_000,
        "network_capacity_bytes_per_second eth0": 3_125_000_000,
        "qdisc_drops_total eth0 fq": 17,
        "qdisc_backlog_bytes eth0 fq": 400,
    }


def test_only_what_may_be_emitted_is() -> None:
    collector = NetworkCollector({})
    reading = collector.collect(machine(device(2, "eth0", mtu=1, changes=1), entry(2, "fq", 1, ROOT), eth0=1))
    assert {sample.metric for sample in reading.samples} == set(collector.metrics)


def test_loopback_is_not_exported() -> None:
    assert values(NetworkCollector({}).collect(machine(b""))) == {"network_devices_left_out": 0}


def test_the_speed_of_a_virtual_device_is_made_up_and_not_asked_for() -> None:
    subject = machine(device(2, "veth0", "veth") + device(3, "bond0", "bond"), veth0=10_000, bond0=2000)
    found = values(NetworkCollector({}).collect(subject))
    assert "network_speed_bytes veth0" not in found
    assert "network_capacity_bytes_per_second veth0" not in found
    assert speed_of("veth0") not in subject.asked
    assert found["network_speed_bytes bond0"] == 250_000_000


@pytest.mark.parametrize("reason", ["unsupported", "absent"])
def test_a_driver_without_a_speed_is_no_gap(reason: str) -> None:
    subject = machine(device(2, "eth0"))
    subject.answers[speed_of("eth0")] = UnavailableError(reason, "no")
    reading = NetworkCollector({}).collect(subject)
    assert not reading.gaps
    assert "network_speed_bytes eth0" not in values(reading)


def test_an_unknown_speed_and_a_device_that_is_down_have_none() -> None:
    down = device(3, "eth1", flags=0)
    subject = machine(device(2, "eth0") + down, eth0=0xFFFFFFFF, eth1=1000)
    found = values(NetworkCollector({}).collect(subject))
    assert not [name for name in found if "speed" in name or "capacity" in name]
    assert found["network_up eth1"] == 0


def test_configured_capacity_wins_and_needs_no_speed() -> None:
    config = {"eth0": Link(capacity_bits_per_second=8_000), "veth0": Link(capacity_bits_per_second=16_000)}
    found = values(NetworkCollector(config).collect(machine(device(2, "eth0") + device(3, "veth0", "veth"), eth0=10)))
    assert found["network_capacity_bytes_per_second eth0"] == 1000
    assert found["network_capacity_bytes_per_second veth0"] == 2000
    assert found["network_speed_bytes eth0"] == 1_250_000


def test_a_failing_driver_is_a_gap_and_the_rest_is_exported() -> None:
    subject = machine(device(2, "eth0"))
    subject.answers[speed_of("eth0")] = UnavailableError("busy", "the hardware does not answer")
    collector = NetworkCollector({})
    for _scrape in range(2):  # the second does not ask the driver, and the speed is still missing
        outcome = run(collector, subject)
        assert [gap.reason for gap in outcome.gaps] == ["busy"]
        assert not outcome.success
        assert len(outcome.samples) > 9
    assert subject.asked.count(speed_of("eth0")) == 1


def test_a_speed_is_asked_again_when_the_carrier_changed_or_after_a_minute() -> None:
    now = [0.0]
    collector = NetworkCollector({}, clock=lambda: now[0])

    def asked(changes: int) -> int:
        subject = machine(device(2, "eth0", changes=changes), eth0=1000)
        assert values(collector.collect(subject))["network_speed_bytes eth0"] == 125_000_000
        return subject.asked.count(speed_of("eth0"))

    assert [asked(1), asked(1), asked(2), asked(2)] == [1, 0, 1, 0]
    now[0] = 60.0
    assert [asked(2), asked(2)] == [1, 0]


def test_queues_of_one_kind_are_summed_and_never_fall() -> None:
    collector = NetworkCollector({})

    def drops(*children: tuple[int, int]) -> tuple[float, float]:
        data = entry(2, "mq", 0, ROOT, (1 << 30, 1 << 20))
        data += b"".join(entry(2, "fq_codel", 0, place + 1, child) for place, child in enumerate(children))
        found = values(collector.collect(machine(device(2, "eth0"), data)))
        assert not [name for name in found if "mq" in name]
        return found["qdisc_drops_total eth0 fq_codel"], found["qdisc_backlog_bytes eth0 fq_codel"]

    assert drops((10, 100), (20, 200), (5, 0)) == (35, 300)
    assert drops((11, 0)) == (36, 0)
    assert drops((12, 0), (2, 50)) == (39, 50)


def test_queues_of_devices_that_are_not_exported_are_not_either() -> None:
    found = values(
        NetworkCollector({}).collect(machine(device(2, "eth0"), entry(1, "fq", 1, ROOT) + entry(7, "fq", 1, ROOT)))
    )
    assert not [name for name in found if "qdisc" in name]


def test_without_traffic_control_the_devices_are_still_there() -> None:
    subject = machine(device(2, "eth0"))
    subject.answers[qdisc.QDISCS.key] = UnavailableError("unsupported", "no CONFIG_NET_SCHED")
    outcome = run(NetworkCollector({}), subject)
    assert outcome.success
    assert [gap.reason for gap in outcome.gaps] == ["unsupported"]
    assert len(outcome.samples) > 9


def test_series_are_bounded_and_what_is_left_out_is_said() -> None:
    pods = b"".join(device(index, f"pod{index}", "veth") for index in range(10, 310))
    found = values(NetworkCollector({}).collect(machine(pods + device(400, "eth0"))))
    assert found["network_devices_left_out"] == 301 - MOST_DEVICES
    assert len({name.rpartition(" ")[2] for name in found if name.startswith("network_receive")}) == MOST_DEVICES
    assert "network_receive_bytes_total eth0" in found


def test_a_device_without_counters_has_only_a_state() -> None:
    bare = message(2, UP_RUNNING, *attributes(name="eth0"))
    found = values(NetworkCollector({}).collect(machine(bare)))
    assert found == {"network_devices_left_out": 0, "network_up eth0": 1}
