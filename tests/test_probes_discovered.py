"""Targets that come from documents: what is obeyed, what is kept, what is said about it, and what the others notice."""

import json
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample, metrics_of
from natobs.errors import ConfigError
from natobs.probe_config import ProbeFile
from natobs.probes.model import Steps, Target
from natobs.probes.service import ProbeService
from natobs.probes.tracing import Tracing
from tests.loopback import eventually
from tests.scripted import (
    Attempting,
    black_hole,
    descriptors,
    echo,
    held_seconds,
    kinds,
    probe_file,
    settings,
    standstill,
)
from tests.web_answers import answer, web

QUICK: dict[str, object] = {"interval_seconds": 0.1, "timeout_seconds": 0.1, "retries": 0}


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
    path, before, threads = tmp_path / "t.json", descriptors(), set(threading.enumerate())
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
    assert descriptors() <= before
    assert set(threading.enumerate()) <= threads


def test_targets_that_go_while_somebody_scrapes_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.json"
    service = ProbeService(discovering(path, "a.test"), kinds(lambda target: echo))
    samples = service.stats.samples

    def samples_and_then_a_reload() -> list[AnySample]:
        found = samples()
        service.reload(discovering(path))
        return found

    monkeypatch.setattr(service.stats, "samples", samples_and_then_a_reload)
    found = service.samples()
    assert [one.value for one in found if one.metric is metric.TARGETS] == [1]
    monkeypatch.undo()
    assert [one.value for one in service.samples() if one.metric is metric.TARGETS] == [0]
    service.stop()


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


def test_a_url_that_hangs_holds_up_neither_the_probes_nor_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with web(sd=hang, good=answer(b'[{"targets": ["a.test"]}]')) as served:
        file = probe_file(
            settings(name="hangs", targets=("own.test",), targets_url=served.url("/sd"), **QUICK),
            settings(name="well", targets=(), targets_url=served.url("/good"), **QUICK),
        )
        service = ProbeService(file, kinds(lambda target: echo))
        service.start()
        assert eventually(lambda: values(service).get(metric.SUCCESS.name, 0) > 3)
        service.stop()
        assert "has not ended" not in caplog.text


def test_ten_thousand_targets_and_one_that_changes(tmp_path: Path) -> None:
    """The others keep prober, beat and the attempt under way."""
    count, path = 10_000, tmp_path / "t.json"
    names = [f"10.0.{n // 250}.{n % 250}" for n in range(count)]
    begun: set[str] = set()
    beats: dict[str, list[float]] = {}
    ended: list[str] = []

    def script(target: Target) -> Attempting:
        def attempt(number: int) -> Steps:
            begun.add(target.host)
            try:
                return (yield from (black_hole if target.host in names[:100] else echo)(number))
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
    service.tracing = Tracing(1, lambda each: beats.setdefault(each.target.host, []).append(each.started - each.lag))
    service.discovery.look()
    assert len(service.targets) == count == len(opened)
    held = held_seconds()
    service.start()
    with standstill() as stood, ExitStack() as at_the_end:
        at_the_end.callback(service.stop)
        assert eventually(lambda: len(begun) == count, within=60)
        under_way = service.in_flight
        assert under_way >= 10  # black holes, of which four in five are at any time
        write(path, *names[1:], "new.test")
        assert eventually(lambda: "new.test" in hosts(service))
        assert opened[count:] == ["new.test"]
        assert set(ended) <= {names[0]}
        assert eventually(lambda: "new.test" in begun)
        assert eventually(lambda: sum(len(times) > 1 for times in beats.copy().values()) > 9_000, within=60)
        gaps = sorted(times[1] - times[0] for times in beats.copy().values() if len(times) > 1)
        # as planned, however late they began; with beats that began anew they would lie anywhere between 0 and 10 s
        assert gaps[len(gaps) // 100] > 4.99
        assert gaps[-len(gaps) // 100] < 5.01
        found, kept = values(service), held_seconds() - held + stood()
        assert found[metric.SCHEDULE_LAG.name] < 0.5 + kept
        assert found[metric.BEATS_SKIPPED.name] == 0 or kept > 4.5  # a beat is skipped when it is 5 s late
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
