import threading
import time
from collections.abc import Callable
from typing import Any

from natobs.catalogue.metrics import conntrack as metric
from natobs.catalogue.types import Metric
from natobs.collectors.base import Collector, Reading
from natobs.collectors.runner import Runner
from natobs.errors import UnavailableError
from natobs.kernel.machine import Machine
from tests.fakes import FakeMachine
from tests.loopback import eventually


class Scripted:
    metrics: tuple[Metric, ...] = (metric.ENTRIES,)

    def __init__(self, name: str, look: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self._look = look
        self.runs = 0

    def collect(self, machine: Machine) -> Reading:
        self.runs += 1
        self._look()
        reading = Reading()
        reading.add(metric.ENTRIES, self.runs)
        return reading


def refuse() -> None:
    raise UnavailableError("permission", "needs CAP_NET_ADMIN")


def absent() -> None:
    raise UnavailableError("absent", "no such file")


def burst() -> None:
    raise ZeroDivisionError("bug")


class Patient(Runner):
    """Leaves a collector behind as soon as it is told to, and gives all others the time that a busy machine takes."""

    def _leave_behind(self, *late: Any) -> None:  # noqa: ANN401 - as the base class has it
        super()._leave_behind(*late)
        self._limit = 60.0


def runner_of(*collectors: Collector, limit: float = 5.0) -> Runner:
    return Runner(collectors, FakeMachine(), limit)


def test_every_outcome_is_told_apart() -> None:
    runner = runner_of(
        Scripted("good"), Scripted("refused", refuse), Scripted("absent", absent), Scripted("bug", burst)
    )
    good, refused, missing, bug = runner.collect(5).outcomes
    assert (good.success, len(good.samples), good.gaps) == (True, 1, ())
    assert (refused.success, refused.samples, refused.gaps[0].reason) == (False, (), "permission")
    assert (missing.success, missing.samples, missing.gaps[0].reason) == (True, (), "absent")
    assert (bug.success, bug.gaps[0].reason, bug.gaps[0].detail) == (False, "error", "ZeroDivisionError: bug")
    runner.stop()


def test_rounds_follow_one_another_on_one_thread() -> None:
    before = set(threading.enumerate())  # a collector that an earlier test left behind has a thread, too
    collector = Scripted("good")
    runner = runner_of(collector)
    numbers = [runner.collect(5).number for _ in range(20)]
    assert numbers == list(range(1, 21))
    assert collector.runs == 20
    assert [thread.name for thread in threading.enumerate() if thread not in before] == ["natobs-collect-1"]
    runner.stop()


class Waiting(threading.Condition):
    """Knows how many wait for it."""

    now = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += 1  # under its lock
        try:
            return super().wait(timeout)
        finally:
            self.now -= 1


def test_scrapers_that_come_during_a_round_share_it() -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert go_on.wait(20)

    collector, waiting = Scripted("slow", wait), Waiting()
    runner = runner_of(collector, limit=60)
    runner._changed = waiting
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda: numbers.append(runner.collect(20).number)) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert started.wait(20)
    assert eventually(lambda: waiting.now == 20)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert (numbers, collector.runs) == ([1] * 20, 1)
    runner.stop()


def test_a_stuck_collector_is_left_behind_and_not_started_again() -> None:
    release = threading.Event()
    stuck = Scripted("stuck", lambda: assert_released(release))
    after = Scripted("after")
    runner = Patient((stuck, after), FakeMachine(), 0.05)

    first = runner.collect(5)
    assert first.outcomes[0].gaps[0].reason == "timeout"
    assert first.outcomes[1].samples[0].value == 1

    threads = set(threading.enumerate())
    later = [runner.collect(5) for _ in range(5)]
    second = later[-1]
    assert second.outcomes[0].gaps[0].reason == "busy"
    assert second.outcomes[1].samples[0].value == 6
    assert stuck.runs == 1
    assert set(threading.enumerate()) <= threads

    release.set()
    assert eventually(lambda: not runner.stuck)
    assert runner.collect(5).outcomes[0].samples[0].value == 2
    runner.stop()


def test_a_scrape_is_never_later_than_its_limit() -> None:
    release = threading.Event()
    runner = runner_of(Scripted("slow", lambda: assert_released(release)), Scripted("unreached"), limit=60)
    start = time.monotonic()
    snapshot = runner.collect(0.1)
    assert time.monotonic() - start < 15  # of the 20 that the collector takes
    assert [outcome.gaps[0].reason for outcome in snapshot.outcomes] == ["timeout", "timeout"]
    release.set()
    runner.stop()


def test_replaced_collectors_run_from_the_next_round_on() -> None:
    runner = runner_of(Scripted("old"))
    assert runner.collect(5).outcomes[0].collector == "old"
    runner.replace([Scripted("new"), Scripted("other")], 1.0)
    assert [outcome.collector for outcome in runner.collect(5).outcomes] == ["new", "other"]
    runner.stop()


def assert_released(event: threading.Event) -> None:
    assert event.wait(20)
