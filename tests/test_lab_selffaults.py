"""What must hold after a fault of natobs itself, with something that does not hold planted for each rule."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from natobs.catalogue.metrics import accounting, conntrack, operations, probes
from natobs.catalogue.types import Start
from natobs.errors import LabError
from natobs.lab import crowd, stepped
from natobs.lab.selffaults import memory, verdict
from natobs.lab.selffaults.kernel import LINKS, ROUTES, links, routes
from natobs.lab.selffaults.memory import Resident
from natobs.lab.selffaults.registry import ALL, find
from natobs.lab.stack.api import Series

KERNEL, OWN, KEPT = conntrack.FOUND.name, probes.ATTEMPTS.name, operations.SCALING_EVENTS.name
BUSY = accounting.HOST_ATTEMPTS.name


def series(name: str, *values: float | None, instance: str = "nat1") -> Series:
    """A sample a second; None where a scrape had none."""
    samples = [(float(second), value) for second, value in enumerate(values) if value is not None]
    return Series({"__name__": name, "instance": instance}, samples)


def wrong(*counters: Series, restarts: int = 0) -> int:
    return len(verdict.backwards(verdict.falls(counters), {"nat1": restarts} if restarts else {}))


def test_every_counter_of_the_catalogue_has_a_start() -> None:
    starts = verdict.starts()
    assert starts[KERNEL] is Start.HOST
    assert starts[OWN] is Start.PROCESS
    assert starts[KEPT] is Start.KEPT
    assert starts[f"{probes.RTT.name}_bucket"] is Start.PROCESS
    assert len(starts) > 100


def test_a_counter_that_rises_or_stays_is_in_order() -> None:
    assert wrong(series(KERNEL, 1, 2, 2, 3)) == 0


@pytest.mark.parametrize("name", [KERNEL, KEPT, BUSY])
@pytest.mark.parametrize("restarts", [0, 1])
def test_what_the_kernel_counts_or_a_file_keeps_never_falls(name: str, restarts: int) -> None:
    assert wrong(series(name, 5, 6, 1), restarts=restarts) == 1


def test_what_a_process_counts_falls_once_with_each_restart_of_that_process() -> None:
    assert wrong(series(OWN, 5, 0, 3)) == 1
    assert wrong(series(OWN, 5, 0, 3), restarts=1) == 0
    assert wrong(series(OWN, 5, 0, 3, 1), restarts=1) == 1
    assert wrong(series(OWN, 5, 0, 3, instance="nat2"), restarts=1) == 1


def test_a_busy_key_may_begin_anew_with_what_was_counted_since() -> None:
    total = series(accounting.ATTEMPTS.name, 100, 102, 105, 106)
    assert wrong(total, series(BUSY, 7, 0, 2)) == 0
    assert wrong(total, series(BUSY, 7, None, 5, 6)) == 0
    assert wrong(total, series(KERNEL, 7, 0, 2)) == 1


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_busy_key_that_falls_to_an_old_value_is_found(restarts: int) -> None:
    total = series(accounting.ATTEMPTS.name, 100, 102, 105, 106)
    assert wrong(total, series(BUSY, 70, None, 60), restarts=restarts) == 1
    assert wrong(total, series(BUSY, 70, 3), restarts=restarts) == 1
    assert wrong(series(BUSY, 70, 60, instance="nat2"), total, restarts=restarts) == 1


def test_memory_is_bounded_at_its_peak_and_afterwards() -> None:
    found = {
        "agent": Resident(40_000_000, 70_000_000, 41_000_000),
        "prober": Resident(40_000_000, 50_000_000, 50_000_000),
    }
    assert verdict.grown(found, 32, 16) == []
    assert len(verdict.grown(found, 29, 16)) == 1
    assert len(verdict.grown(found, 32, 9)) == 1


def test_a_peak_that_is_forgotten_begins_anew() -> None:
    code = "import time; big = bytearray(64 << 20); del big; print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            now, peak = memory.resident(process.pid)
            assert peak > now + (32 << 20)
            watch = memory.Watch({"it": process.pid})
            (found,) = watch.end({"it": process.pid}).values()
            assert found.peak < now + (8 << 20)
        finally:
            process.kill()
    with pytest.raises(LabError, match="No such file"):
        memory.resident(process.pid)


@pytest.mark.parametrize(
    ("said", "bad"),
    [
        ("natobs: INFO: listening on 127.0.0.1:9650\nnatobs: WARNING: collector flows has not returned", 0),
        ("natobs: ERROR: the thread that sends probes has ended", 1),
        ("x\nTraceback (most recent call last):\n  File\nZeroDivisionError: division by zero", 1),
        ("MemoryError", 1),
    ],
)
def test_a_crash_is_known_by_what_was_said(said: str, bad: int) -> None:
    assert len(verdict.crashed("agent", said)) == bad


def test_names_are_told_apart_and_found() -> None:
    assert len({fault.name for fault in ALL}) == len(ALL)
    assert all(find(fault.name) is fault for fault in ALL)
    assert all(fault.reports and fault.lost and fault.sentence.endswith(".") for fault in ALL)
    with pytest.raises(LabError, match="there are agent-killed, "):
        find("nothing")


def test_as_many_routes_and_links_as_are_promised() -> None:
    assert len(set(routes("add").splitlines())) == ROUTES
    assert sum(line.count("many") for line in links()) == LINKS


def test_a_stepped_clock_moves_as_its_file_says(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    walls = "time.time(), time.time_ns() / 1e9, time.clock_gettime(time.CLOCK_REALTIME)"
    code = f"import json, time\nprint(json.dumps([{walls}, time.monotonic()]))"
    (tmp_path / "tell.py").write_text(code, "utf-8")
    for seconds in (3600, -3600, 0):
        clock.write_text(str(seconds), "ascii")
        done = subprocess.run(
            [sys.executable, "-m", "natobs.lab.stepped", str(clock), "tell"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": f"{Path(stepped.__file__).parents[2]}:{tmp_path}"},
        )
        *told, monotonic = json.loads(done.stdout)
        assert told == pytest.approx([time.time() + seconds] * 3, abs=60)
        assert monotonic == pytest.approx(time.monotonic(), abs=60)


def test_a_clock_file_that_is_just_being_written_steps_nothing(tmp_path: Path) -> None:
    (tmp_path / "clock").write_bytes(b"")
    assert stepped.reader(str(tmp_path / "clock"))() == 0.0


def test_a_crowd_has_a_manner_for_each_fault() -> None:
    assert set(crowd.MANNERS) == {"half-open", "slow", "many"}
