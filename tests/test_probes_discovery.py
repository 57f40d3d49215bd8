"""Targets that come from documents: what is obeyed, what is kept, what is said about it, and what the others notice."""

import json
import logging
import socket
import threading
import time
from pathlib import Path

import pytest

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import metrics_of
from natobs.errors import ConfigError
from natobs.probe_config import ProbeFile, Prober
from natobs.probes.discovery import Discovery
from natobs.probes.model import Steps, Target
from natobs.probes.service import ProbeService
from natobs.probes.sources import Found, Source
from tests.loopback import eventually
from tests.scripted import Attempting, black_hole, descriptors, echo, kinds, probe_file, settings
from tests.web_answers import answer, web

FILE, URL = Source("a", "file", "x.json"), Source("b", "url", "http://h/")
QUICK: dict[str, object] = {"interval_seconds": 0.1, "timeout_seconds": 0.1, "retries": 0}


class Script:
    """A reader that finds what a test says."""

    def __init__(self, *found: Found | Exception) -> None:
        self.found = list(found)
        self.abandoned = 0
        self.most = 0

    def read(self) -> Found:
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
    watcher = Watcher(a=Script(Found(())))
    watcher.discovery.watch([FILE], Prober(discovery_seconds=1))
    watcher.discovery.start()
    watcher.discovery.start()  # once is enough
    assert eventually(lambda: watcher.discovery.good)
    first = watcher.values("a")[metric.DISCOVERY_TIMESTAMP.name]
    watcher.discovery.watch([FILE], Prober(discovery_seconds=86_400))
    assert eventually(lambda: watcher.values("a")[metric.DISCOVERY_TIMESTAMP.name] > first, within=0.5)
    watcher.discovery.stop()


def write(path: Path, *targets: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps([{"targets": targets, "labels": {"zone": "x"}}]), "utf-8")
    beside.rename(path)


def discovering(path: Path, *targets: str, **more: object) -> ProbeFile:
    probe = settings(name="sd", targets=targets, targets_file=str(path), **(QUICK | more))
    return probe_file(probe, discovery_seconds=1, max_targets=12_000, max_rate=3000)


def hosts(service: ProbeService) -> list[str]:
    return [target.host for target in service.targets]


def values(service: ProbeService) -> dict[str, float]:
    return {row.name: value for row, _labels, value in service.samples() if isinstance(value, (int, float))}


def test_a_service_begins_with_none_and_follows_the_document(tmp_path: Path) -> None:
    path, before, threads = tmp_path / "t.json", descriptors(), threading.active_count()
    service = ProbeService(discovering(path), kinds(lambda target: echo))
    service.start()
    try:
        assert eventually(lambda: values(service).get(metric.DISCOVERY_SUCCESS.name) == 0)
        assert service.running
        assert values(service)[metric.TARGETS.name] == 0
        write(path, "a.test", "b.test")
        assert eventually(lambda: hosts(service) == ["a.test", "b.test"])
        assert eventually(lambda: values(service).get(metric.SUCCESS.name, 0) > 2)
        assert values(service)[metric.DISCOVERY_SUCCESS.name] == 1
        path.unlink()
        assert eventually(lambda: values(service)[metric.DISCOVERY_SUCCESS.name] == 0)
        assert hosts(service) == ["a.test", "b.test"]
        write(path)
        assert eventually(lambda: hosts(service) == [])
        assert values(service)[metric.TARGETS.name] == 0
        assert service.running
    finally:
        service.stop()
    assert descriptors() == before
    assert threading.active_count() == threads


def test_what_the_file_lists_itself_stays_and_is_not_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    write(path, "a.test:862", "b.test")
    file = discovering(path, "a.test")
    service = ProbeService(file, kinds(lambda target: echo))
    service.discovery.look()
    assert hosts(service) == ["a.test", "b.test"]
    assert service.lists(file.probe[0], "b.test")
    assert service.lists(file.probe[0], "a.test")
    assert not service.lists(file.probe[0], "c.test")
    service.stop()


@pytest.mark.parametrize(
    ("targets", "bound", "problem"),
    [
        (["a.test", "b.test", "c.test"], {"max_targets": 2}, "more than 2 targets"),
        (["a.test", "b.test"], {"max_targets": 2}, "there are 3 targets; prober.max_targets allows 2"),
        (["a.test", "b.test"], {"max_rate": 25}, "30.0 attempts a second; prober.max_rate allows 25"),
        (["a.test", "a:b:c"], {}, "[0].targets[1]: target 'a:b:c'"),
    ],
)
def test_a_document_that_asks_for_too_much_is_refused_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, targets: list[str], bound: dict[str, object], problem: str
) -> None:
    path = tmp_path / "t.json"
    write(path, *targets)
    probe = settings(name="sd", targets=("own.test",), targets_file=str(path), **QUICK)
    service = ProbeService(probe_file(probe, **bound), kinds(lambda target: echo))
    service.discovery.look()
    assert hosts(service) == ["own.test"]
    assert problem in caplog.text
    service.stop()


def test_a_reload_keeps_what_was_discovered_where_the_source_stays(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    write(path, "a.test")
    service = ProbeService(discovering(path), kinds(lambda target: echo))
    service.discovery.look()
    service.reload(discovering(path, "own.test"))
    assert hosts(service) == ["own.test", "a.test"]
    service.reload(discovering(tmp_path / "other.json", "own.test"))
    assert hosts(service) == ["own.test"]
    with pytest.raises(ConfigError, match="targets_url: no URL"):
        service.reload(probe_file(settings(targets=(), targets_url="http://[::1")))
    assert hosts(service) == ["own.test"]
    service.stop()


def hang(client: socket.socket, _request: bytes) -> None:
    client.recv(1)


def test_a_url_that_hangs_holds_up_neither_the_probes_nor_the_end() -> None:
    with web(sd=hang, good=answer(b'[{"targets": ["a.test"]}]')) as served:
        file = probe_file(
            settings(name="hangs", targets=("own.test",), targets_url=served.url("/sd"), **QUICK),
            settings(name="well", targets=(), targets_url=served.url("/good"), **QUICK),
        )
        service = ProbeService(file, kinds(lambda target: echo))
        service.start()
        assert eventually(lambda: values(service).get(metric.SUCCESS.name, 0) > 3)
        start = time.monotonic()
        service.stop()
        assert time.monotonic() - start < 2


def test_ten_thousand_targets_and_one_that_changes(tmp_path: Path) -> None:
    """The others keep prober, beat and the attempt under way."""
    count, path = 10_000, tmp_path / "t.json"
    names = [f"10.0.{n // 250}.{n % 250}" for n in range(count)]
    begun: dict[str, list[float]] = {}
    ended: list[str] = []

    def script(target: Target) -> Attempting:
        def attempt(number: int) -> Steps:
            begun.setdefault(target.host, []).append(time.monotonic())
            try:
                return (yield from (black_hole if target.host in names[:20] else echo)(number))
            except GeneratorExit:
                ended.append(target.host)
                raise

        return attempt

    opened: list[str] = []

    def counting(target: Target) -> Attempting:
        opened.append(target.host)
        return script(target)

    make = kinds(counting)
    write(path, *names)
    file = discovering(path, interval_seconds=5.0, timeout_seconds=4.0)
    service = ProbeService(file, make)
    service.discovery.look()
    assert len(service.targets) == count == len(opened)
    service.start()
    try:
        assert eventually(lambda: len(begun) == count, within=12)
        under_way = service.in_flight
        assert under_way >= 10  # black holes
        write(path, *names[1:], "new.test")
        assert eventually(lambda: "new.test" in hosts(service), within=5)
        assert opened[count:] == ["new.test"]
        assert set(ended) <= {names[0]}
        assert eventually(lambda: "new.test" in begun, within=8)
        assert eventually(lambda: sum(len(times) > 1 for times in begun.values()) > 9_000, within=8)
        gaps = sorted(times[1] - times[0] for host, times in begun.items() if len(times) > 1)
        # with beats that began anew they would lie anywhere between 0 and 10 s
        assert gaps[len(gaps) // 100] > 4.5
        assert gaps[-len(gaps) // 100] < 5.5
        assert values(service)[metric.SCHEDULE_LAG.name] < 0.5
        assert values(service)[metric.BEATS_SKIPPED.name] == 0
    finally:
        service.stop()
    assert len(set(ended) - {names[0]}) > 5  # at the end, not before


def test_every_row_about_discovery_is_emitted(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    write(path, "a.test")
    service = ProbeService(discovering(path), kinds(lambda target: echo))
    service.discovery.look()
    rows = {row.name for row in metrics_of(metric) if "discovery" in row.name}
    assert len(rows) == 3
    assert rows <= values(service).keys()
    service.stop()
