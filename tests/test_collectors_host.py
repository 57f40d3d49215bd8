import msgspec
import pytest

from natobs.catalogue.metrics import host as metric
from natobs.collectors.base import Reading, run
from natobs.collectors.host import BOOT_TIME_KEEP_SECONDS, CORRECTION_SECONDS, HostCollector, SelfCollector
from natobs.errors import UnavailableError
from natobs.kernel import host
from natobs.kernel.live import LiveMachine
from tests.fakes import FakeMachine
from tests.test_kernel_host import CPUS, MEMORY, PROCESS


def machine() -> FakeMachine:
    return FakeMachine(
        {
            host.CPU.key: CPUS,
            host.ONLINE_FILE.key: b"0,3\n",
            host.MEMORY.key: MEMORY,
            host.BOOT.key: b"1763800000.0",
            host.PROCESS.key: PROCESS,
        }
    )


def values(reading: Reading) -> dict[str, float]:
    return {" ".join((sample.metric.name, *sample.labels)): sample.value for sample in reading.samples}


def test_everything_is_exported_once() -> None:
    found = values(HostCollector().collect(machine()))
    assert len(found) == 2 * 8 + 3
    assert found["natobs_cpu_seconds_total 3 user"] == 2.5
    assert found["natobs_cpu_seconds_total 0 steal"] == 8.25
    assert found["natobs_boot_time_seconds"] == 1763800000
    assert found["natobs_memory_total_bytes"] == 1000
    assert found["natobs_memory_available_bytes"] == 400


def test_the_modes_are_the_domain_of_the_label() -> None:
    assert metric.CPU_SECONDS.labels[1].domain == host.CPU_MODES


def test_time_that_linux_takes_back_is_held_and_a_restart_is_shown() -> None:
    subject, asked, idle = HostCollector(), machine(), "natobs_cpu_seconds_total 0 idle"

    def seconds(value: float) -> float:
        times = msgspec.json.decode(CPUS)
        times[0]["idle"] = value
        asked.answers[host.CPU.key] = msgspec.json.encode(times)
        return values(subject.collect(asked))[idle]

    history = [5000.0, 4999.99, 4990.0, 5000.5, 5000.5 - CORRECTION_SECONDS]
    assert [seconds(value) for value in history] == [5000.0, 5000.0, 5000.0, 5000.5, 5000.5 - CORRECTION_SECONDS]


def test_a_part_that_is_missing_leaves_the_others() -> None:
    lame = machine()
    lame.answers[host.MEMORY.key] = UnavailableError("permission", "no /proc/meminfo for you")
    reading = HostCollector().collect(lame)
    assert [gap.reason for gap in reading.gaps] == ["permission"]
    assert len(reading.samples) == 2 * 8 + 1
    assert all("memory" not in sample.metric.name for sample in reading.samples)


def test_the_boot_time_is_asked_for_once_a_minute() -> None:
    times = [0.0, BOOT_TIME_KEEP_SECONDS - 1, BOOT_TIME_KEEP_SECONDS, BOOT_TIME_KEEP_SECONDS + 1]
    subject, asked = HostCollector(clock=iter(times).__next__), machine()
    for _time in times:
        assert values(subject.collect(asked))["natobs_boot_time_seconds"] == 1763800000
    assert asked.asked.count(host.BOOT.key) == 2


def test_the_agents_own_cost() -> None:
    assert values(SelfCollector().collect(machine())) == {
        "natobs_agent_cpu_seconds_total": 1.25,
        "natobs_agent_resident_memory_bytes": 4096,
        "natobs_agent_open_fds": 7,
    }


@pytest.mark.parametrize("kind", [HostCollector, SelfCollector])
def test_this_machine_has_it_all(kind: type[HostCollector | SelfCollector]) -> None:
    outcome = run(kind(), LiveMachine())
    assert outcome.success
    assert {sample.metric for sample in outcome.samples} == set(kind.metrics)
