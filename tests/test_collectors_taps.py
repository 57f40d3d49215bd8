import pytest

from natobs.catalogue.metrics import taps as metric
from natobs.collectors.background import Background
from natobs.collectors.base import run
from natobs.collectors.taps import IDLE_SECONDS, MOST_SOURCES, Sources, TapsCollector
from natobs.config import Nat
from natobs.errors import FormatError, UnavailableError
from natobs.kernel import flowtables, tap
from natobs.kernel.machine import FROM_NOW_ON, StreamName
from natobs.kernel.residence import Passage
from tests.fakes import FakeMachine
from tests.nft_messages import INET, text, u32
from tests.nft_messages import message as nft
from tests.probe_packets import CLIENT, SERVER, SNAT, message, stamp_packet, token

START = 1_700_000_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def probe(number: int = 1, *, client: str = CLIENT, lost: int = 0) -> list[bytes]:
    """A probe at all four points of a one-armed NAT: 30 us out, 20 us back."""
    mark, start = token(number), START + number * 10**9
    return [
        message(stamp_packet(client, SERVER, mark), at=start, lost=lost),
        message(stamp_packet(SNAT, SERVER, mark), at=start + 30_000, out=True, lost=lost),
        message(stamp_packet(SERVER, SNAT, mark), at=start + 1_000_000, lost=lost),
        message(stamp_packet(SERVER, client, mark), at=start + 1_020_000, out=True, lost=lost),
    ]


def values(subject: TapsCollector, machine: FakeMachine | None = None) -> dict[str, float]:
    samples = run(subject, machine or FakeMachine()).samples
    return {" ".join((sample.metric.name.removeprefix("natobs_"), *sample.labels)): sample.value for sample in samples}


def residence(subject: TapsCollector) -> dict[str, tuple[dict[float, int], float]]:
    """By direction: counts by upper bound where they are not zero, and the sum."""
    bounds = [*metric.RESIDENCE.buckets, float("inf")]
    return {
        labels[0]: (
            {bound: count for bound, count in zip(bounds, value.counts, strict=True) if count},
            value.sum,
        )
        for _metric, labels, value in run(subject, FakeMachine()).distributions
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def subject(clock: Clock) -> TapsCollector:
    made = TapsCollector(Nat(), clock)
    made.hear(FROM_NOW_ON)
    return made


def test_probes_are_counted_at_four_points_and_timed_both_ways(subject: TapsCollector, clock: Clock) -> None:
    for part in (part for number in range(3) for part in probe(number)):
        subject.hear(part)
    clock.now += 3
    found = values(subject)
    for point in metric.POINTS:
        assert found[f"probe_packets_seen_total {CLIENT} {point}"] == 3
    assert found["nat_residence_missed_total out"] == found["nat_residence_missed_total back"] == 0
    assert found["tap_packets_lost_total"] == 0
    timed = residence(subject)
    assert {way: counts for way, (counts, _sum) in timed.items()} == {"out": {5e-5: 3}, "back": {2e-5: 3}}
    assert [timed[way][1] for way in ("out", "back")] == pytest.approx([9e-5, 6e-5])


def test_before_anything_was_seen_there_are_zeros_and_no_sources(subject: TapsCollector) -> None:
    found = values(subject)
    assert found == {
        "nat_residence_missed_total out": 0,
        "nat_residence_missed_total back": 0,
        "tap_packets_lost_total": 0,
        "tap_listening": 1,
    }
    assert residence(subject) == {"out": ({}, 0.0), "back": ({}, 0.0)}


def test_a_tap_that_rests_says_so_and_keeps_its_counts(subject: TapsCollector, clock: Clock) -> None:
    for part in probe(lost=2):
        subject.hear(part)
    subject.hear(tap.RESTING)
    clock.now += 3
    found = values(subject)
    assert (found["tap_listening"], found["tap_packets_lost_total"]) == (0, 2)
    assert found[f"probe_packets_seen_total {CLIENT} inside_out"] == 1
    subject.hear(FROM_NOW_ON)
    subject.hear(probe(2, lost=1)[0])
    found = values(subject)
    assert (found["tap_listening"], found["tap_packets_lost_total"]) == (1, 3)


def test_a_value_at_a_bound_belongs_to_it_and_one_above_all_is_counted(subject: TapsCollector, clock: Clock) -> None:
    for number, nanoseconds in enumerate((20_000, 20_001, 1_500_000_000)):
        arrival = message(stamp_packet(CLIENT, SERVER, token(number)), at=START)
        subject.hear(arrival)
        subject.hear(message(stamp_packet(SNAT, SERVER, token(number)), at=START + nanoseconds, out=True))
    clock.now += 3
    assert residence(subject)["out"][0] == {2e-5: 1, 5e-5: 1, float("inf"): 1}


def test_a_request_that_does_not_leave_is_missed(subject: TapsCollector, clock: Clock) -> None:
    subject.hear(probe()[0])
    clock.now += 1
    assert values(subject)["nat_residence_missed_total out"] == 0
    clock.now += 1
    found = values(subject)
    assert found["nat_residence_missed_total out"] == 1
    assert [found[f"probe_packets_seen_total {CLIENT} {point}"] for point in metric.POINTS] == [1, 0, 0, 0]


def test_an_answer_that_does_not_get_in_is_missed(subject: TapsCollector, clock: Clock) -> None:
    for part in probe()[:3]:
        subject.hear(part)
    clock.now += 2
    subject.tick(FakeMachine())
    found = values(subject)
    assert (found["nat_residence_missed_total out"], found["nat_residence_missed_total back"]) == (0, 1)
    assert [found[f"probe_packets_seen_total {CLIENT} {point}"] for point in metric.POINTS] == [1, 1, 1, 0]


def test_what_the_kernel_dropped_is_counted_across_streams_and_wraps(subject: TapsCollector) -> None:
    subject.hear(probe(1, lost=3)[0])
    subject.hear(probe(2, lost=0xFFFFFFFF)[0])
    subject.hear(probe(3, lost=1)[0])
    assert values(subject)["tap_packets_lost_total"] == 0x100000001
    subject.hear(FROM_NOW_ON)
    subject.hear(probe(4, lost=5)[0])
    assert values(subject)["tap_packets_lost_total"] == 0x100000006


def test_what_is_not_understood_is_a_format_error_and_counted_as_lost(clock: Clock) -> None:
    subject = TapsCollector(Nat(), clock)
    with pytest.raises(FormatError):
        subject.hear(b"junk")
    machine = FakeMachine(streams={StreamName.PROBE_PACKETS: [FROM_NOW_ON, b"junk", *probe()]})
    Background([subject], machine).prime()
    clock.now += 3
    found = values(subject, machine)
    assert found["tap_packets_lost_total"] == 1
    assert found[f"probe_packets_seen_total {CLIENT} inside_out"] == 1


def test_without_the_privilege_there_is_no_value_and_a_failure(subject: TapsCollector) -> None:
    subject.miss(UnavailableError("permission", "probe packets: needs CAP_NET_RAW"))
    outcome = run(subject, FakeMachine({flowtables.FLOWTABLES.key: b""}))
    assert [(gap.reason, gap.detail) for gap in outcome.gaps] == [("permission", "probe packets: needs CAP_NET_RAW")]
    assert {sample.metric for sample in outcome.samples} == {metric.FLOWTABLES}
    assert outcome.distributions == ()
    assert not outcome.success


def test_flowtables_are_told_by_who_forwards(subject: TapsCollector) -> None:
    answer = nft(22, INET, text(1, "filter"), text(2, "fast"), u32(7, 1))
    found = values(subject, FakeMachine({flowtables.FLOWTABLES.key: answer}))
    assert (found["nat_flowtables software"], found["nat_flowtables hardware"]) == (0, 1)


def passage(host: int) -> Passage:
    return Passage("out", bytes([10, 0, host >> 8, host & 255]), 1, 1, 5)


def test_hosts_beyond_the_bound_share_a_row() -> None:
    sources = Sources()
    for host in range(MOST_SOURCES + 6):
        sources.add(passage(host), 100.0)
    rows = dict(sources.rows())
    assert len(rows) == MOST_SOURCES + 1
    assert rows["other"] == {"inside_in": 6, "outside_out": 6, "outside_in": 0, "inside_out": 0}
    assert rows["10.0.0.0"]["inside_in"] == 1


def test_a_silent_host_makes_room_and_takes_nothing_of_its_past_along() -> None:
    sources = Sources(most=2)
    sources.add(passage(1), 0.0)
    sources.add(passage(2), IDLE_SECONDS)
    sources.add(passage(3), IDLE_SECONDS - 1)
    assert [name for name, _row in sources.rows()] == ["10.0.0.1", "10.0.0.2", "other"]
    sources.add(passage(3), IDLE_SECONDS)
    rows = dict(sources.rows())
    assert sorted(rows) == ["10.0.0.2", "10.0.0.3", "other"]
    assert rows["10.0.0.3"]["inside_in"] == rows["other"]["inside_in"] == 1
    sources.add(passage(1), IDLE_SECONDS)
    assert dict(sources.rows())["other"]["inside_in"] == 2


def test_a_flood_of_tokens_stays_bounded(subject: TapsCollector, clock: Clock) -> None:
    for number in range(6000):
        subject.hear(message(stamp_packet(CLIENT, SERVER, token(number)), at=START))
    assert len(subject._passages) == 4096
    clock.now += 2
    assert values(subject)["nat_residence_missed_total out"] == 6000
