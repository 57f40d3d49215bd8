import threading
import tracemalloc
from bisect import bisect_left
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import HistogramSample, Metric
from natobs.config import Prefix
from natobs.probe_config import Expect, KindName
from natobs.probes.history import History
from natobs.probes.model import Attempt, Clock, Outcome, Reason, Target
from natobs.probes.stats import COUNTED_TOGETHER, Stats
from tests.scripted import refused, target

GOOD = Outcome()


class Time:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


def attempt(of: Target, outcome: Outcome = GOOD, number: int = 0, seconds: float = 0.01, lag: float = 0.0) -> Attempt:
    return Attempt(of, number, 1e9, seconds, lag, outcome)


def values(stats: Stats) -> dict[tuple[str, ...], float]:
    """Plain samples by name and label values."""
    return {(s.metric.name.removeprefix("natobs_probe_"), *s.labels): s.value for s in stats.samples() if plain(s)}  # type: ignore[misc]  # plain() has seen to it


def plain(sample: object) -> bool:
    return not isinstance(sample, HistogramSample)


def histogram(stats: Stats, row: Metric, *labels: str) -> tuple[list[int], float]:
    found = [
        s.value for s in stats.samples() if isinstance(s, HistogramSample) and (s.metric, s.labels) == (row, labels)
    ]
    assert len(found) == 1
    return list(found[0].counts), found[0].sum


def test_the_catalogue_knows_every_kind_reason_and_clock() -> None:
    assert get_args(KindName) == metric.KINDS
    assert tuple(reason.value for reason in Reason) == metric.REASONS
    assert tuple(clock.value for clock in Clock) == metric.CLOCKS


def test_a_target_has_its_counters_before_anything_happened() -> None:
    critical = target(kind="tcp", critical=True)
    found = values(Stats([critical]))
    labels = ("test", "tcp", "198.51.100.1:7")
    for name in ("attempts", "first_attempt_success", "retries", "success", "late", "clock_rejects"):
        assert found[f"{name}_total", *labels] == 0
    assert found["tcp_syn_retransmits_total", *labels] == 0
    assert found["targets", *labels] == 1
    assert not [key for key in found if key[0] in {"address_expected", "path_mtu_bytes", "schedule_lag_seconds"}]


def test_first_attempts_retries_and_the_success_in_the_end_are_counted_apart() -> None:
    one = target(kind="tcp", critical=True)
    stats = Stats([one])
    stats.report(attempt(one))  # at once
    stats.report(attempt(one, Outcome(syn_retransmits=2)))  # the second SYN but one
    stats.report(attempt(one, refused()))
    stats.report(attempt(one, refused(), number=1))
    stats.report(attempt(one, number=2))  # the second retry
    labels = ("test", "tcp", "198.51.100.1:7")
    found = values(stats)
    assert found["attempts_total", *labels] == 3
    assert found["first_attempt_success_total", *labels] == 1
    assert found["retries_total", *labels] == 2
    assert found["success_total", *labels] == 3
    assert found["failures_total", *labels, "refused"] == 2
    assert found["tcp_syn_retransmits_total", *labels] == 2


outcomes = st.builds(
    Outcome,
    reason=st.none() | st.sampled_from(Reason),
    rtt=st.none() | st.floats(0, 3),
    clock=st.sampled_from(Clock),
    syn_retransmits=st.integers(0, 3),
    observed=st.none() | st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2", "nonsense"]), st.just(1)),
)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), outcomes, st.floats(0, 100))))
def test_whatever_is_reported_adds_up(reports: list[tuple[int, int, Outcome, float]]) -> None:
    expect = Expect(addresses=(Prefix("192.0.2.1/32"),))
    targets = [
        target("a.test", name="one", critical=True, kind="stun", expect=expect),
        target("b.test", name="one-rest", kind="stun", expect=expect),
        target("c.test", name="one-rest", kind="stun", expect=expect),
        target("d.test", name="two", kind="stun"),
    ]
    stats = Stats(targets)
    for index, number, outcome, seconds in reports:
        stats.report(attempt(targets[index], outcome, number, seconds))
    totals: Counter[str] = Counter()
    for key, value in values(stats).items():
        totals[key[0]] += int(value)
    firsts = [outcome for _index, number, outcome, _seconds in reports if not number]
    assert totals["attempts_total"] == len(firsts)
    assert totals["attempts_total"] + totals["retries_total"] == len(reports)
    assert totals["success_total"] + totals["failures_total"] == len(reports)
    assert totals["first_attempt_success_total"] == sum(o.success and not o.syn_retransmits for o in firsts)
    assert totals["tcp_syn_retransmits_total"] == sum(outcome.syn_retransmits for _i, _n, outcome, _s in reports)
    assert totals["round_trips_total"] == sum(outcome.rtt is not None for _i, _n, outcome, _s in reports)
    for row, labels, members in (
        (metric.DURATION, ("one", "stun", "a.test:7"), {0}),
        (metric.DURATION, ("", "stun", ""), {1, 2, 3}),
    ):
        counts, total = histogram(stats, row, *labels)
        seconds_of = [seconds for index, _n, _o, seconds in reports if index in members]
        assert sum(counts) == len(seconds_of)
        assert total == pytest.approx(sum(seconds_of))
    counts, total = histogram(stats, metric.RTT, "", "stun", "")
    measured = [o.rtt for i, _n, o, _s in reports if i and o.rtt is not None and o.clock is not Clock.USERSPACE]
    expected = [0] * (len(metric.RTT_BUCKETS) + 1)
    for rtt in measured:
        expected[bisect_left(metric.RTT_BUCKETS, rtt)] += 1
    assert counts == expected
    assert total == pytest.approx(sum(measured))


def test_a_bound_belongs_to_its_bucket() -> None:
    one = target(critical=True)
    stats = Stats([one])
    for seconds in (0.001, 0.001_001, 60.0, 60.1):
        stats.report(attempt(one, seconds=seconds))
    counts, _sum = histogram(stats, metric.DURATION, "test", "udp", "198.51.100.1:7")
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (1, 1, 1, 1)


def test_ten_thousand_targets_share_their_series_and_cost_little_memory() -> None:
    tracemalloc.start()
    stats = Stats(target(f"host{number}.test") for number in range(10_000))
    for number in range(10_000):
        for _turn in range(2):
            stats.report(attempt(target(f"host{number}.test"), Outcome(rtt=0.01, clock=Clock.KERNEL_RX)))
    used, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = values(stats)
    assert found["attempts_total", "test", "udp", ""] == 20_000
    assert found["targets", "test", "udp", ""] == 10_000
    assert len(stats.samples()) < 20
    assert used < 10_000 * 5000


def test_a_history_does_not_grow() -> None:
    one, time = target(), Time()
    history = History(one)
    for turn in range(3000):
        history.saw(f"192.0.2.{turn % 200}")
        history.add(attempt(one, Outcome(rtt=turn / 1000, observed=("192.0.2.1", turn))), time.now + turn * 10)
    row = history.row(time.now + 30_000)
    assert row.median_rtt == pytest.approx(2.9695, abs=1e-3)
    assert len(history._round_trips) == 60
    assert row.tried == row.succeeded == pytest.approx(345, abs=16)  # the last hour, to within a slot
    assert history.row(time.now + 90_000).tried == 0


def test_addresses_changes_and_what_is_expected() -> None:
    one = target(kind="stun", critical=True, expect=Expect(addresses=(Prefix("192.0.2.0/31"),)))
    stats = Stats([one])
    labels = ("test", "stun", "198.51.100.1:7")
    for last in (0, 1, 0, 1):  # a pool of two
        stats.report(attempt(one, Outcome(observed=(f"192.0.2.{last}", 5))))
    found = values(stats)
    assert found["address_changes_total", *labels] == 1
    assert found["address_expected", *labels] == 1
    stats.observed(one, "192.0.2.0")  # an old flow keeps its address
    stats.report(attempt(one, Outcome(Reason.ADDRESS, observed=("192.0.2.9", 5))))
    found = values(stats)
    assert found["address_changes_total", *labels] == 2
    assert found["address_expected", *labels] == 0
    seen = {key[4] for key in found if key[0] == "observed_address_info"}
    assert seen == {"192.0.2.0", "192.0.2.1", "192.0.2.9"}
    stats.report(attempt(one, Outcome(observed=("192.0.2.0", 5))))
    assert values(stats)["address_expected", *labels] == 1
    assert stats.addresses() == [(labels, [("192.0.2.0", 4), ("192.0.2.1", 2), ("192.0.2.9", 1)])]


def test_an_address_within_one_attempt_counts_once_and_hostile_ones_stay_bounded() -> None:
    one = target(kind="stun", critical=True)
    stats = Stats([one])
    stats.observed(one, "192.0.2.1")
    stats.report(attempt(one, Outcome(observed=("192.0.2.1", 5))))
    assert stats.addresses()[0][1] == [("192.0.2.1", 1)]
    for number in range(5000):
        stats.observed(one, f"198.51.{number // 256}.{number % 256}")
        stats.report(attempt(one, Outcome(observed=(f"203.0.{number // 256}.{number % 256}", 5))))
    found = values(stats)
    assert sum(key[0] == "observed_address_info" for key in found) == 32
    assert ("address_expected", "test", "stun", "198.51.100.1:7") not in found


def test_one_unexpected_target_is_enough_for_a_shared_series() -> None:
    expect = Expect(addresses=(Prefix("192.0.2.1/32"),))
    first, second = target("a.test", kind="stun", expect=expect), target("b.test", kind="stun", expect=expect)
    stats = Stats([first, second])
    stats.report(attempt(first, Outcome(observed=("192.0.2.2", 1))))
    stats.report(attempt(second, Outcome(observed=("192.0.2.1", 1))))
    assert values(stats)["address_expected", "test", "stun", ""] == 0


def test_the_worst_of_a_series_stands_for_it() -> None:
    first, second = target("a.test", kind="pmtu"), target("b.test", kind="pmtu")
    stats = Stats([first, second])
    stats.report(attempt(first, Outcome(path_mtu=1500, certificate_expiry=2e9)))
    stats.report(attempt(second, Outcome(path_mtu=1400, certificate_expiry=3e9)))
    stats.report(attempt(second, refused()))  # what was known stays
    found = values(stats)
    assert found["path_mtu_bytes", "test", "pmtu", ""] == 1400
    assert found["certificate_expiry_timestamp_seconds", "test", "pmtu", ""] == 2e9


def test_late_answers_and_clock_steps() -> None:
    one = target()
    stats = Stats([one])
    stats.late(one)
    stats.clock_reject(one)
    stats.clock_reject(one)
    found = values(stats)
    assert found["late_total", "test", "udp", ""] == 1
    assert found["clock_rejects_total", "test", "udp", ""] == 2
    assert found["success_total", "test", "udp", ""] == 0


def test_the_lag_is_the_greatest_of_a_minute() -> None:
    one, time = target(), Time()
    stats = Stats([one], time)
    for seconds, lag in ((0, 0.5), (30, 0.2), (50, 0.1)):
        time.now = 10_000.0 + seconds
        stats.report(attempt(one, lag=lag))
    assert values(stats)["schedule_lag_seconds",] == 0.5
    time.now += 20
    stats.report(attempt(one, number=1, lag=7.0))  # a retry: what the rate leaves to it is no matter of the schedule
    assert values(stats)["schedule_lag_seconds",] == 0.2
    time.now += 100
    assert ("schedule_lag_seconds",) not in values(stats)
    for turn in range(1000):
        time.now += 7
        stats.report(attempt(one, lag=turn))
    assert len(stats._lags) <= 14


def test_other_targets_keep_or_lose_what_they_counted() -> None:
    kept, gone, fresh = (
        target("a.test", critical=True),
        target("b.test", critical=True),
        target("c.test", critical=True),
    )
    stats = Stats([kept, gone])
    stats.report(attempt(kept))
    stats.report(attempt(gone))
    stats.retarget([fresh, target("a.test", critical=True, interval_seconds=20.0)])
    stats.report(attempt(gone))  # a last word of the old engine
    stats.late(gone)
    stats.observed(gone, "192.0.2.1")
    found = values(stats)
    assert found["attempts_total", "test", "udp", "a.test:7"] == 1
    assert found["attempts_total", "test", "udp", "c.test:7"] == 0
    assert not [key for key in found if "b.test:7" in key]
    assert [row.target.host for row in stats.overview(10).rows] == ["c.test", "a.test"]


def test_the_overview_begins_with_what_fails() -> None:
    fine, bad, critical = target("fine.test"), target("bad.test"), target("critical.test", critical=True)
    stats = Stats([fine, bad, critical])
    stats.report(attempt(bad, refused()))
    overview = stats.overview(2)
    assert [row.target.host for row in overview.rows] == ["bad.test", "critical.test"]
    assert (overview.targets, overview.failing) == (3, 1)


def test_many_threads_lose_nothing() -> None:
    one = target()
    stats = Stats([one])

    def work() -> None:
        for _turn in range(500):
            stats.report(attempt(one))
            stats.samples()

    threads = [threading.Thread(target=work) for _turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(stats)["attempts_total", "test", "udp", ""] == 2000


def test_attempts_that_wait_to_be_counted_are_bounded_and_belong_to_the_targets_of_their_time() -> None:
    one, other = target(), target("198.51.100.2", name="other")
    stats = Stats([one])
    for _turn in range(3 * COUNTED_TOGETHER):
        stats.report(attempt(one))
        assert len(stats._ended) < COUNTED_TOGETHER
    stats.report(attempt(other))  # nobody probes it yet
    stats.retarget([one, other])
    stats.report(attempt(other))
    assert values(stats)["attempts_total", "test", "udp", ""] == 3 * COUNTED_TOGETHER
    assert values(stats)["attempts_total", "other", "udp", ""] == 1
