"""The status page, from rounds made by hand."""

import time
from collections.abc import Sequence

import pytest

from natobs.catalogue.metrics import accounting, conntrack, network, operations
from natobs.catalogue.types import Sample
from natobs.collectors.base import Gap, Outcome
from natobs.collectors.observer import Observer
from natobs.collectors.runner import Snapshot
from natobs.config import Config
from natobs.exposition.messages import Request
from natobs.exposition.page import Page
from tests.fakes import FakeMachine


class Rounds(Observer):
    """Gives rounds that were made beforehand, one for each look."""

    def __init__(self, *rounds: Snapshot) -> None:
        super().__init__(FakeMachine({}), Config())
        self.left = list(rounds)

    def collect(self, limit: float) -> Snapshot:
        return self.left.pop(0)


def snapshot(number: int, at: float, samples: Sequence[Sample], gaps: tuple[Gap, ...] = ()) -> Snapshot:
    return Snapshot(number, at, (Outcome("network", tuple(samples), gaps, 0.001),), complete=True)


def show(page: Page) -> str:
    body = page(Request("GET", "/", "", {}, 1.0)).body
    assert isinstance(body, bytes)
    return body.decode()


@pytest.fixture
def now() -> float:
    return time.time()


def test_a_metric_with_several_series_is_named_once_and_the_busiest_comes_first(now: float) -> None:
    first = [network.RECEIVE_BYTES.sample(5000, "eth0"), network.RECEIVE_BYTES.sample(0, "eth1")]
    second = [network.RECEIVE_BYTES.sample(5000, "eth0"), network.RECEIVE_BYTES.sample(20_000, "eth1")]
    page = Page(Rounds(snapshot(1, now - 10, first), snapshot(2, now, second)))
    show(page)
    text = show(page)
    assert text.count(">network receive bytes<") == 1
    assert text.index("<th>eth1</th>") < text.index("<th>eth0</th>")
    assert '<td class="number">2 kB/s</td>' in text


def test_names_from_the_machine_are_text_and_never_markup(now: float) -> None:
    hostile = '<script>"&'
    gap = Gap("error", hostile)
    samples = [network.RECEIVE_BYTES.sample(1, hostile), network.RECEIVE_BYTES.sample(1, "eth0")]
    text = show(Page(Rounds(snapshot(1, now, samples, (gap,)))))
    assert "<script" not in text
    assert text.count("&lt;script&gt;&quot;&amp;") >= 2


def test_a_crowd_looks_once_a_second(now: float) -> None:
    rounds = Rounds(*(snapshot(number, now, [conntrack.ENTRIES.sample(number)]) for number in (77, 78)))
    page = Page(rounds)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: now + 0.9)
        assert [">77<" in show(page) for _person in range(3)] == [True] * 3
        patched.setattr(time, "time", lambda: now + 1.1)
        assert ">78<" in show(page)


def test_a_clock_that_was_set_back_does_not_freeze_the_page(now: float) -> None:
    before, after = snapshot(1, now + 3600, [conntrack.ENTRIES.sample(77)]), [conntrack.ENTRIES.sample(78)]
    page = Page(Rounds(before, snapshot(2, now, after)))
    assert ">77<" in show(page)
    assert ">78<" in show(page)


def test_a_share_needs_both_of_its_values(now: float) -> None:
    entries, limit = conntrack.ENTRIES.sample(25), conntrack.LIMIT.sample(100)
    page = Page(Rounds(snapshot(1, now - 10, [entries, limit]), snapshot(2, now, [entries])))
    assert '<div class="now">25.0 %</div>' in show(page)
    assert '<div class="now">' not in show(page)


def answered_of_attempts(*counts: tuple[str, float, float]) -> list[Sample]:
    return [
        sample
        for name, attempts, answered in counts
        for sample in (
            accounting.DESTINATION_ATTEMPTS.sample(attempts, name, "443", "tcp"),
            accounting.DESTINATION_ANSWERED.sample(answered, name, "443", "tcp"),
        )
    ]


def test_shares_are_of_late_and_the_destination_that_fails_comes_first(now: float) -> None:
    first = answered_of_attempts(("good", 1000, 0), ("bad", 1000, 1000), ("quiet", 10, 5))
    second = answered_of_attempts(("good", 1100, 100), ("bad", 1040, 1010), ("quiet", 10, 5))
    page = Page(Rounds(snapshot(1, now - 10, first), snapshot(2, now, second)))
    show(page)
    text = show(page)
    assert text.index("<th>bad port 443 tcp</th>") < text.index("<th>good port 443 tcp</th>")
    assert '<th>bad port 443 tcp</th><td class="number">25.0 %</td><td class="number">of 40</td>' in text
    assert '<th>good port 443 tcp</th><td class="number">100.0 %</td><td class="number">of 100</td>' in text
    assert '<th>quiet port 443 tcp</th><td class="number">50.0 %</td><td class="number">of 10 in all</td>' in text


def test_changes_on_purpose_and_maintenance_are_shown_with_when_they_were_and_how_long_it_lasts(now: float) -> None:
    samples = [
        operations.SCALING_EVENTS.sample(3, "scale_out", "load"),
        operations.SCALING_EVENT_TIME.sample(now - 7200, "scale_out"),
        operations.MAINTENANCE_UNTIL.sample(now + 1810),
    ]
    text = show(Page(Rounds(snapshot(1, now, samples))))
    part = text[text.index(">M10<") :]
    assert "scale_out load" in part
    assert ">2 h ago<" in part
    assert ">in 30 min" in part
    assert part.index("cluster maintenance until") < part.index("UNKNOWN")  # nobody has declared one
