"""The journal as metrics, from files written by hand."""

from pathlib import Path

from natobs.catalogue.metrics import operations as metric
from natobs.collectors.base import Outcome, run
from natobs.collectors.operations import OperationsCollector
from natobs.operations.journal import Event, Journal, Window, encode
from tests.fakes import FakeMachine

KEY = "var/lib/natobs/operations.json"
NOW = 1_000_000.0
LONG_AGO = NOW - 10 * metric.HELD_SECONDS


class Bench:
    """A collector, the file that it reads, and its clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.machine = FakeMachine()
        self.collector = OperationsCollector(Path("/", KEY), lambda: self.now)

    def look(self, journal: Journal | None = None) -> Outcome:
        if journal is not None:
            self.machine.answers[KEY] = encode(journal)
        return run(self.collector, self.machine)

    def counts(self, journal: Journal | None = None) -> dict[tuple[str, ...], float]:
        return {one.labels: one.value for one in self.look(journal).samples if one.metric is metric.SCALING_EVENTS}


def journal_of(*events: Event, recorded: float = LONG_AGO) -> Journal:
    journal = Journal()
    for event in events:
        journal = journal.recorded(event, recorded)
    return journal


def test_events_and_maintenance() -> None:
    journal = journal_of(Event("deploy", "image", 5.0), Event("deploy", "rules", 4.0), Event("deploy", "image", 3.0))
    both = Journal(totals=journal.totals, nat=Window(1.0, 70.0), cluster=Window(1.0, 80.0, cluster="a"))
    outcome = Bench().look(both)
    assert {(sample.metric, sample.labels): sample.value for sample in outcome.samples} == {
        (metric.SCALING_EVENTS, ("deploy", "image")): 2,
        (metric.SCALING_EVENTS, ("deploy", "rules")): 1,
        (metric.SCALING_EVENT_TIME, ("deploy",)): 5.0,
        (metric.MAINTENANCE_UNTIL, ()): 70.0,
        (metric.CLUSTER_MAINTENANCE_UNTIL, ()): 80.0,
    }
    assert outcome.gaps == ()


def test_a_window_that_was_never_declared_is_absent_and_no_zero() -> None:
    outcome = Bench().look(Journal(nat=Window(1.0, 70.0)))
    assert [(sample.metric, sample.value) for sample in outcome.samples] == [(metric.MAINTENANCE_UNTIL, 70.0)]
    assert [gap.detail for gap in outcome.gaps] == ["no event was ever recorded: natobs event record"]
    outcome = Bench().look(journal_of(Event("deploy", "image", 5.0)))
    assert {sample.metric for sample in outcome.samples} == {metric.SCALING_EVENTS, metric.SCALING_EVENT_TIME}
    assert [gap.detail for gap in outcome.gaps] == ["no maintenance was ever declared: natobs maintenance start"]
    assert outcome.success


def test_a_new_series_shows_its_zero_first_so_that_its_first_event_is_an_increase() -> None:
    bench, image = Bench(), ("deploy", "image")
    journal = journal_of(Event("deploy", "image", 5.0), recorded=NOW)
    assert bench.counts(journal) == {image: 0}
    bench.now += metric.HELD_SECONDS - 1
    assert bench.counts() == {image: 0}
    bench.now += 1
    assert bench.counts() == {image: 1}
    assert bench.counts(journal.recorded(Event("deploy", "image", 6.0), bench.now)) == {image: 2}
    bench.now = NOW + 1  # the clock is set back
    assert bench.counts() == {image: 2}


def test_a_series_from_the_future_is_shown_as_it_is() -> None:
    assert Bench().counts(journal_of(Event("deploy", "x", 5.0), recorded=NOW + 1)) == {("deploy", "x"): 1}


def test_a_damaged_file_is_a_failure_until_it_is_mended() -> None:
    bench = Bench()
    bench.machine.answers[KEY] = b"{"
    for _again in range(2):
        outcome = bench.look()
        assert (outcome.samples, outcome.success) == ((), False)
        assert [gap.reason for gap in outcome.gaps] == ["format"]
        assert outcome.gaps[0].detail.startswith(f"/{KEY} is damaged")
    assert bench.counts(journal_of(Event("deploy", "x", 5.0))) == {("deploy", "x"): 1}
    bench.machine.answers[KEY] = b'{"format": 2}'
    assert [gap.reason for gap in bench.look().gaps] == ["format"]


def test_without_a_file_nothing_was_recorded() -> None:
    outcome = Bench().look()
    assert (outcome.samples, outcome.success) == ((), True)
    assert outcome.gaps[0].detail.startswith("nothing has been recorded yet: ")


def test_the_latest_events_are_told_in_their_order_and_forgotten_with_the_file() -> None:
    bench = Bench()
    events = [Event("other", "x", float(number)) for number in range(30)]
    bench.look(journal_of(Event("deploy", "image", 86_400.0, "a note", "pipeline"), *events))
    lines = bench.collector.tail()
    assert len(lines) == 20
    assert lines[-1] == "1970-01-02 00:00:00Z deploy image: a note (pipeline)"
    assert lines[-2] == "1970-01-01 00:00:29Z other x"
    del bench.machine.answers[KEY]
    bench.look()
    assert bench.collector.tail() == []
