"""Looks for targets: what is handed on, what is counted and said, when it looks, and how that ends."""

import logging
import threading
import time

import pytest

from natobs.catalogue.metrics import probes as metric
from natobs.errors import ConfigError
from natobs.probe_config import Prober
from natobs.probes.discovery import Discovery
from natobs.probes.sources import Found, Source
from tests.loopback import PATIENCE, eventually

FILE, URL = Source("a", "file", "x.json"), Source("b", "url", "http://h/")


class Script:
    """A reader that finds what a test says."""

    def __init__(self, *found: Found | Exception) -> None:
        self.found = list(found)
        self.reads = 0
        self.abandoned = 0
        self.most = 0

    def read(self) -> Found:
        self.reads += 1
        one = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(one, Exception):
            raise one
        return one

    def adjust(self, prober: Prober) -> None:
        self.most = prober.max_targets

    def abandon(self) -> None:
        self.abandoned += 1


class Watcher:
    """A discovery over scripted readers, and what it has handed on."""

    def __init__(self, **readers: Script) -> None:
        self.taken: list[tuple[str, tuple[str, ...]]] = []
        self.refuse = False
        self.discovery = Discovery(self._accept, lambda source: readers[source.probe])
        self.discovery.watch([source for source in (URL, FILE) if source.probe in readers], Prober(max_targets=7))

    def _accept(self, source: Source, texts: tuple[str, ...]) -> None:
        if self.refuse:
            raise ConfigError("too many")
        self.taken.append((source.probe, texts))

    def values(self, probe: str) -> dict[str, float]:
        return {row.name: value for row, labels, value in self.discovery.samples() if labels[0] == probe}


def success(watcher: Watcher, probe: str = "a") -> tuple[float | None, float]:
    values = watcher.values(probe)
    return values.get(metric.DISCOVERY_SUCCESS.name), values[metric.DISCOVERY_FAILURES.name]


def test_only_changes_are_handed_on_and_files_are_read_before_anybody_is_asked() -> None:
    watcher = Watcher(a=Script(Found(("x",))), b=Script(Found(("y",)), Found(("y",)), Found(())))
    for _turn in range(3):
        watcher.discovery.look()
    assert watcher.taken == [("a", ("x",)), ("b", ("y",)), ("b", ())]


def test_trouble_is_counted_each_time_and_said_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Found(("x",)), Found(("x",), "x.json: broken\x1b[2J")
    watcher = Watcher(a=Script(good, good, bad, bad, Found(("x",), "x.json: missing"), good, good))
    assert success(watcher) == (None, 0)
    assert metric.DISCOVERY_TIMESTAMP.name not in watcher.values("a")
    states = []
    with caplog.at_level(logging.INFO):
        for _turn in range(7):
            watcher.discovery.look()
            states.append(success(watcher))
    assert states == [(1, 0), (1, 0), (0, 1), (0, 2), (0, 3), (1, 3), (1, 3)]
    assert watcher.values("a")[metric.DISCOVERY_TIMESTAMP.name] == pytest.approx(time.time(), abs=5)
    assert [record.getMessage() for record in caplog.records] == [
        "targets of probe a: 1 found",
        "targets of probe a: x.json: broken [2J; going on with the 1 that were known",
        "targets of probe a: x.json: missing; going on with the 1 that were known",
        "targets of probe a: 1 found",
    ]


def test_what_nobody_can_probe_is_a_failure_and_is_tried_again() -> None:
    watcher = Watcher(a=Script(Found(("x",))))
    watcher.refuse = True
    watcher.discovery.look()
    watcher.discovery.look()
    assert success(watcher) == (0, 2)
    assert not watcher.discovery.good
    watcher.refuse = False
    watcher.discovery.look()
    assert success(watcher) == (1, 2)
    assert watcher.discovery.good


def test_a_fault_of_a_reader_is_a_failure_and_the_others_are_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher(a=Script(ZeroDivisionError("oh")), b=Script(Found(("y",))))
    watcher.discovery.look()
    assert success(watcher) == (0, 1)
    assert success(watcher, "b") == (1, 0)
    assert "ZeroDivisionError" in caplog.text


def test_a_source_that_stays_keeps_its_counters_and_gets_new_bounds() -> None:
    reader = Script(Found(("x",), "broken"))
    watcher = Watcher(a=reader, b=Script(Found(())))
    watcher.discovery.look()
    watcher.discovery.watch([FILE], Prober(max_targets=3))
    assert success(watcher) == (0, 1)
    assert watcher.values("b") == {}
    assert reader.most == 3


def test_it_looks_again_after_its_time_and_at_once_when_it_is_given_other_sources() -> None:
    reader = Script(Found(()))
    watcher = Watcher(a=reader)
    watcher.discovery.watch([FILE], Prober(discovery_seconds=86_400))
    watcher.discovery.start()
    watcher.discovery.start()  # once is enough
    assert eventually(lambda: reader.reads == 1 and watcher.discovery.good)
    watcher.discovery.watch([FILE], Prober(discovery_seconds=1))  # before the day is over
    assert eventually(lambda: reader.reads >= 4)  # and every second from now on
    watcher.discovery.stop()


def test_an_end_that_comes_just_before_a_look_is_not_slept_through() -> None:
    """The thread is about to clear what wakes it: what has been said until then must have been heard."""

    class Meeting(threading.Event):
        def clear(self) -> None:
            stopper.start()
            assert self.wait(PATIENCE)
            super().clear()

    watcher = Watcher(a=Script(Found(("x",))))
    discovery, meeting = watcher.discovery, Meeting()
    stopper = threading.Thread(target=discovery.stop, daemon=True)
    discovery._wake = meeting
    discovery.start()
    assert discovery._thread is not None
    discovery._thread.join(PATIENCE)
    assert not discovery._thread.is_alive()  # it would sleep for half a minute
    stopper.join(PATIENCE)
    assert watcher.taken == []


def test_start_and_stop_may_meet_and_nothing_starts_afterwards() -> None:
    for _turn in range(50):
        discovery = Watcher(a=Script(Found(("x",)))).discovery
        # What one of them raises fails the test: pytest reports it.
        threads = [threading.Thread(target=call, daemon=True) for call in (discovery.start, discovery.stop) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        discovery.start()
        assert discovery._thread is None or not discovery._thread.is_alive()
