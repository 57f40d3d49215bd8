import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import host
from natobs.kernel.live import LiveMachine
from tests.effort import effort
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged

TIMES = b'{"user":1.5,"nice":2,"system":3,"idle":4,"iowait":5,"irq":6,"softirq":7,"steal":8.25}'
CPUS = b"[" + TIMES + b"," + TIMES.replace(b"1.5", b"2.5") + b"]"
MEMORY = b'{"total":1000,"available":400}'
PROCESS = b'{"cpu_seconds":1.25,"resident_bytes":4096,"open_descriptors":7}'

PARSERS: list[Callable[[bytes], object]] = [
    host.parse_cpus,
    host.parse_memory,
    host.parse_boot_time,
    host.parse_process,
    host.parse_online,
]


def test_times_are_numbered_as_the_kernel_numbers_its_cpus() -> None:
    machine = FakeMachine({host.CPU.key: CPUS, host.ONLINE_FILE.key: b"0,3\n"})
    cpus = host.read_cpus(machine)
    assert {number: times.user for number, times in cpus.items()} == {0: 1.5, 3: 2.5}
    assert cpus[0] == host.CpuTimes(1.5, 2, 3, 4, 5, 6, 7, 8.25)


@pytest.mark.parametrize("online", [None, b"0-3\n", b"5\n"])
def test_without_a_fitting_list_cpus_are_counted_from_0(online: bytes | None) -> None:
    machine = FakeMachine({host.CPU.key: CPUS} | ({} if online is None else {host.ONLINE_FILE.key: online}))
    assert set(host.read_cpus(machine)) == {0, 1}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [(b"0\n", (0,)), (b"0-3\n", (0, 1, 2, 3)), (b"0,2-3,7\n", (0, 2, 3, 7))],
)
def test_lists_of_cpus(text: bytes, numbers: tuple[int, ...]) -> None:
    assert host.parse_online(text) == numbers


@pytest.mark.parametrize("text", [b"", b"a", b"3-1", b"-1", b"0-99999999999", b"0-8191,0-8191", b"0--3"])
def test_what_is_no_list_of_cpus(text: bytes) -> None:
    with pytest.raises(FormatError):
        host.parse_online(text)


def test_a_list_of_more_cpus_than_there_can_be_is_not_written_out() -> None:
    def steps(parts: int) -> int:
        return effort(lambda: attempt(host.parse_online, b",".join([b"0-8191"] * parts)))[1]

    assert steps(3) == steps(60)


@pytest.mark.parametrize("text", [b"[]", b"{}", b"[{}]", b"null", CPUS[:-1], CPUS.replace(b"8.25", b'"x"')])
def test_what_is_no_list_of_times(text: bytes) -> None:
    with pytest.raises(FormatError):
        host.parse_cpus(text)


@given(st.binary(max_size=60) | damaged(CPUS, MEMORY, PROCESS, b"1763800000.5", b"0-3,7\n"), st.sampled_from(PARSERS))
def test_damaged_answers_raise_only_format_errors(data: bytes, parse: Callable[[bytes], object]) -> None:
    assert attempt(parse, data) != b""


def procstat() -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in map(str.split, Path("/proc/stat").read_text("ascii").splitlines())}


def test_this_machine_agrees_with_procfs() -> None:
    machine = LiveMachine()
    lines = procstat()
    cpus = host.read_cpus(machine)
    later = procstat()
    assert {f"cpu{number}" for number in cpus} == {name for name in lines if name[:3] == "cpu" and name != "cpu"}
    ticks = os.sysconf("SC_CLK_TCK")
    for number, times in cpus.items():
        for place, mode in enumerate(host.CPU_MODES):
            least, most = sorted(int(found[f"cpu{number}"][place]) / ticks for found in (lines, later))
            # What is idle, or waits for a disk, may fall a little: the kernel says so (proc(5), /proc/stat).
            assert least - 1 <= getattr(times, mode) <= most + 1
    assert host.read_boot_time(machine) == pytest.approx(int(lines["btime"][0]), abs=2)
    memory = host.read_memory(machine)
    assert 0 < memory.available < memory.total == psutil.virtual_memory().total


def test_this_process_agrees_with_psutil() -> None:
    found = host.read_process(LiveMachine())
    times = psutil.Process().cpu_times()
    assert found.cpu_seconds == pytest.approx(times.user + times.system, abs=0.5)
    assert found.cpu_seconds <= time.process_time()
    assert found.resident_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert found.open_descriptors == pytest.approx(len(list(Path("/proc/self/fd").iterdir())), abs=2)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (FileNotFoundError(2, "gone"), "absent"),
        (PermissionError(13, "no"), "permission"),
        (psutil.AccessDenied(1), "error"),
        (ValueError("odd line"), "error"),
    ],
)
def test_whatever_psutil_raises_is_an_unavailable_source(
    trouble: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_options: bool) -> None:
        raise trouble

    for name in "cpu_times", "virtual_memory", "boot_time":
        monkeypatch.setattr(psutil, name, fail)
    for query in host.CPU, host.MEMORY, host.BOOT:
        with pytest.raises(UnavailableError) as caught:
            query.answer()
        assert caught.value.reason == reason
