from natobs.collectors import registry
from natobs.collectors.background import Background
from natobs.collectors.base import Reading, run
from natobs.collectors.events import EventsCollector
from natobs.config import Config, Events
from natobs.errors import FormatError, UnavailableError
from natobs.kernel.conntrack_events import Deaths, message
from natobs.kernel.conntrack_filter import Death
from natobs.kernel.machine import FROM_NOW_ON, StreamName
from tests.fakes import FakeMachine

MODE = "proc/sys/net/netfilter/nf_conntrack_events"
COUNT = "proc/sys/net/netfilter/nf_conntrack_count"


def deaths(*, detailed: bool | None = True, **counts: int) -> bytes:
    found = {death: counts.get(death.name.lower(), 0) for death in Death}
    return message(Deaths(found, detailed))


def machine(mode: int, entries: int) -> FakeMachine:
    return FakeMachine({MODE: b"%d\n" % mode, COUNT: b"%d\n" % entries})


def listening(mode: int = 2, entries: int = 0) -> EventsCollector:
    """Give a collector that listens, on a machine that has had these entries since before."""
    subject = EventsCollector()
    subject.hear(FROM_NOW_ON)
    subject.tick(machine(mode, entries))
    return subject


def values(reading: Reading) -> dict[str, float]:
    return {" ".join((sample.metric.name[17:], *sample.labels)): sample.value for sample in reading.samples}


def completeness(subject: EventsCollector) -> float | None:
    return values(subject.collect(FakeMachine())).get("events_completeness_ratio")


def test_every_kind_of_death_has_its_series() -> None:
    subject = listening()
    subject.hear(
        deaths(idle_tcp=1, idle_udp=2, lost_by_request=3, lost_by_kernel=4, any_tcp=50, any_udp=60, any_other=70)
    )
    reading = subject.collect(FakeMachine())
    assert reading.gaps == []
    assert values(reading) == {
        "idle_timeouts_total tcp": 1,
        "idle_timeouts_total udp": 2,
        "lost_flows_total request": 3,
        "lost_flows_total kernel": 4,
        "destroyed_total tcp": 50,
        "destroyed_total udp": 60,
        "destroyed_total other": 70,
        "events_completeness_ratio": 1,
    }


def test_totals_go_on_when_the_stream_is_opened_again() -> None:
    subject = listening()
    subject.hear(deaths(idle_tcp=5))
    subject.hear(deaths(idle_tcp=7))
    subject.hear(FROM_NOW_ON)
    assert values(subject.collect(FakeMachine()))["idle_timeouts_total tcp"] == 7
    subject.hear(deaths(idle_tcp=2))
    assert values(subject.collect(FakeMachine()))["idle_timeouts_total tcp"] == 9


def test_nothing_is_counted_before_somebody_listens() -> None:
    subject = EventsCollector()
    subject.tick(machine(2, 100))
    outcome = run(subject, FakeMachine())
    assert outcome.samples == ()
    assert [gap.reason for gap in outcome.gaps] == ["absent"]


def test_in_auto_mode_the_entries_from_before_die_unheard() -> None:
    subject = listening(mode=2, entries=300)
    assert completeness(subject) == 0
    subject.tick(machine(2, 400))
    assert completeness(subject) == 0.25
    subject.tick(machine(2, 100))
    assert completeness(subject) == 0
    subject.tick(machine(2, 1000))
    assert completeness(subject) == 0.9
    subject.tick(machine(2, 0))
    assert completeness(subject) == 1
    subject.tick(machine(2, 500))
    assert completeness(subject) == 1


def test_with_events_for_all_entries_none_dies_unheard() -> None:
    subject = listening(mode=1, entries=300)
    assert completeness(subject) == 1
    subject.tick(machine(2, 300))
    assert completeness(subject) == 1


def test_without_events_in_the_kernel_there_is_no_zero_but_a_failure_that_says_what_to_do() -> None:
    subject = listening(mode=0, entries=300)
    subject.hear(deaths())
    outcome = run(subject, FakeMachine())
    assert outcome.samples == ()
    assert not outcome.success
    assert "nf_conntrack_events is 0" in outcome.gaps[0].detail
    subject.tick(machine(1, 400))
    assert completeness(subject) == 0
    subject.tick(machine(1, 800))
    assert completeness(subject) == 0.5


def test_a_kernel_that_says_too_little_gives_totals_and_no_zero_for_the_rest() -> None:
    subject = listening()
    subject.hear(deaths(detailed=None))
    assert "idle_timeouts_total tcp" in values(subject.collect(FakeMachine()))
    subject.hear(deaths(detailed=False, any_tcp=9))
    reading = subject.collect(FakeMachine())
    assert values(reading) == {
        "destroyed_total tcp": 9,
        "destroyed_total udp": 0,
        "destroyed_total other": 0,
        "events_completeness_ratio": 1,
    }
    assert [gap.reason for gap in reading.gaps] == ["unsupported"]


def test_a_table_that_cannot_be_looked_at_takes_only_completeness_away() -> None:
    subject = listening()
    subject.hear(deaths(idle_tcp=3))
    subject.tick(FakeMachine())
    reading = subject.collect(FakeMachine())
    assert values(reading)["idle_timeouts_total tcp"] == 3
    assert "events_completeness_ratio" not in values(reading)
    assert [gap.reason for gap in reading.gaps] == ["absent"]
    subject.tick(machine(2, 100))
    assert completeness(subject) == 0


def test_a_stream_that_is_refused_is_a_gap_and_no_zero() -> None:
    subject = listening()
    subject.miss(FormatError("one odd message"))
    assert values(subject.collect(FakeMachine()))
    subject.miss(UnavailableError("permission", "conntrack events: needs CAP_NET_ADMIN"))
    outcome = run(subject, FakeMachine())
    assert outcome.samples == ()
    assert [gap.reason for gap in outcome.gaps] == ["permission"]


def test_the_background_takes_what_a_recording_holds() -> None:
    subject = EventsCollector()
    recorded = machine(1, 10)
    recorded.streams[StreamName.CONNTRACK_DEATHS] = [FROM_NOW_ON, deaths(lost_by_kernel=8)]
    Background([subject], recorded).prime()
    assert values(subject.collect(recorded))["lost_flows_total kernel"] == 8


def test_it_runs_only_where_the_configuration_asks_for_it() -> None:
    assert "events" not in [collector.name for collector in registry.build(Config())]
    wanted = Config(events=Events(enabled=True))
    collectors = registry.build(wanted)
    assert "events" in [collector.name for collector in collectors]
    assert registry.build(wanted, wanted, collectors) == collectors
    assert "events" not in [collector.name for collector in registry.build(Config(), wanted, collectors)]
