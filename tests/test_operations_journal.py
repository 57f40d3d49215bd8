"""The journal: what it counts, what it forgets, what it refuses to read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from natobs.catalogue.metrics.operations import KINDS, REASONS_PER_KIND
from natobs.errors import FormatError
from natobs.operations import journal as subject
from natobs.operations.journal import (
    MOST_EVENTS,
    SCOPES,
    Event,
    Journal,
    NewerError,
    Scope,
    Silence,
    Window,
    decode,
    encode,
)

REASONS = st.from_regex(r"[a-z0-9_]{1,3}", fullmatch=True)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(KINDS),
    reason=REASONS,
    time=st.floats(0, 1e10),
    note=st.text(max_size=20),
    by=st.text(max_size=20),
)
WINDOWS = st.none() | st.builds(
    Window,
    begin=st.floats(0, 1e10),
    until=st.floats(0, 1e10),
    reason=st.text(max_size=20),
    by=st.text(max_size=5),
    cluster=st.text(max_size=5),
    silence=st.none() | st.builds(Silence, url=st.text(max_size=9), id=st.text(max_size=9), until=st.floats(0, 1e10)),
)


def journal_of(events: list[Event]) -> Journal:
    journal = Journal()
    for number, event in enumerate(events):
        journal = journal.recorded(event, 100.0 + number)
    return journal


@given(st.lists(EVENTS, max_size=40), WINDOWS, WINDOWS)
def test_every_journal_is_read_as_it_was_written(
    events: list[Event], nat: Window | None, cluster: Window | None
) -> None:
    made = journal_of(events)
    journal = Journal(events=made.events, totals=made.totals, nat=nat, cluster=cluster)
    assert decode(encode(journal)) == journal


@given(st.lists(EVENTS, max_size=60))
def test_every_event_is_counted_once_and_series_are_bounded(events: list[Event]) -> None:
    journal = journal_of(events)
    for kind in KINDS:
        totals = [total for total in journal.totals if total.kind == kind]
        assert sum(total.count for total in totals) == sum(event.kind == kind for event in events)
        assert len(totals) <= REASONS_PER_KIND + 1
        assert len({total.reason for total in totals}) == len(totals)
    latest = {kind: max(event.time for event in events if event.kind == kind) for kind in {one.kind for one in events}}
    assert journal.latest() == latest


def test_what_is_forgotten_stays_counted() -> None:
    journal = journal_of([Event("deploy", "test", float(number)) for number in range(MOST_EVENTS + 5)])
    assert [event.time for event in journal.events] == [float(number) for number in range(5, MOST_EVENTS + 5)]
    assert [(total.count, total.since, total.latest) for total in journal.totals] == [(1005, 100.0, 1004.0)]


def test_reasons_beyond_the_first_of_a_kind_are_other_and_no_other_kind_suffers() -> None:
    journal = journal_of([Event("deploy", f"r{number}", 1.0) for number in range(REASONS_PER_KIND + 2)])
    journal = journal.recorded(Event("failover", "late", 1.0), 1.0).recorded(Event("deploy", "r0", 1.0), 1.0)
    counted = {(total.kind, total.reason): total.count for total in journal.totals}
    assert counted[("deploy", "other")] == 2
    assert counted[("deploy", "r0")] == 2
    assert counted[("failover", "late")] == 1
    assert journal.events[REASONS_PER_KIND].reason == f"r{REASONS_PER_KIND}"  # the event itself keeps its reason


SILENCE = Silence("http://a", "1", 50.0)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_later_end_of_a_maintenance_counts_and_its_silence_is_not_forgotten(scope: Scope) -> None:
    first, shorter, longer = (
        Window(1.0, 50.0, cluster="a"),
        Window(2.0, 40.0, cluster="a"),
        Window(3.0, 60.0, cluster="a"),
    )
    journal = Journal().declared(scope, first).silenced(scope, SILENCE)
    assert journal.declared(scope, shorter) == journal
    assert journal.declared(scope, longer).window(scope) == replace(longer, silence=SILENCE)
    assert journal.ended(scope, 10.0).declared(scope, shorter).window(scope) == replace(shorter, silence=SILENCE)
    (other,) = set(SCOPES) - {scope}
    assert journal.window(other) is None


def test_another_cluster_s_maintenance_takes_over_nothing() -> None:
    journal = Journal().declared("cluster", Window(1.0, 50.0, cluster="a")).silenced("cluster", SILENCE)
    other = Window(2.0, 40.0, cluster="b")
    assert journal.declared("cluster", other).cluster == other


@pytest.mark.parametrize("scope", SCOPES)
def test_a_maintenance_ends_once(scope: Scope) -> None:
    journal = Journal().declared(scope, Window(1.0, 50.0)).ended(scope, 20.0)
    assert journal.window(scope) == Window(1.0, 20.0)
    assert journal.ended(scope, 30.0) == journal
    assert Journal().ended(scope, 30.0).silenced(scope, SILENCE) == Journal()
    assert journal.silenced(scope, SILENCE).silenced(scope, None) == journal


def test_a_journal_of_a_thousand_long_events_is_far_from_the_limit() -> None:
    long = Event("scale_out", "r" * 40, 1e10, "é" * 200, "ü" * 200)
    assert len(encode(journal_of([long] * MOST_EVENTS))) < subject.MOST_BYTES / 2


@pytest.mark.parametrize(
    "change",
    [
        ('"deploy"', '"explode"'),
        ('"test"', '"Test"'),
        ('"test"', '""'),
        ('"count": 1', '"count": 0'),
        ('"count": 1', '"count": 1.5'),
        ('"time": 5.0', '"time": -5.0'),
        ('"time": 5.0', '"time": 1e300'),
        ('"format": 1', '"format": 0'),
        ('"format": 1', '"form": 1'),
        ('"note": ""', f'"note": "{"x" * 201}"'),
        ('"nat": null', '"nat": {}'),
    ],
)
def test_what_does_not_fit_is_refused(change: tuple[str, str]) -> None:
    text = encode(journal_of([Event("deploy", "test", 5.0)])).decode()
    assert text.count(change[0]) >= 1
    decode(text.encode())
    with pytest.raises(FormatError):
        decode(text.replace(*change).encode())


def test_a_journal_of_a_newer_format_is_told_from_a_damaged_one() -> None:
    with pytest.raises(NewerError, match="format 2 was written by a newer natobs; this one reads 1"):
        decode(b'{"format": 2, "history": []}')


def test_nobody_reads_more_than_a_journal_can_have() -> None:
    with pytest.raises(FormatError, match="more than any journal has"):
        decode(b" " * (subject.MOST_BYTES + 1))
