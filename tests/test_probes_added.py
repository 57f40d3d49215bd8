"""Pairs and access probes as they are counted and exported."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from natobs.catalogue.metrics import probes as metric
from natobs.probe_config import Compare
from natobs.probes.model import Attempt, Clock, Outcome, Reason, Target
from natobs.probes.stats import Stats
from tests.scripted import refused, target
from tests.test_probes_stats import Time, attempt, histogram, values

COMPARE = Compare(mark=7, limit_seconds=0.01, window_seconds=60.0)
LABELS = ("test", "udp", "198.51.100.1:7")


def rtt(seconds: float, clock: Clock = Clock.KERNEL_TXRX) -> Outcome:
    return Outcome(rtt=seconds, clock=clock)


def half(of: Target, outcome: Outcome, pair: int, *, companion: bool) -> Attempt:
    return replace(attempt(of, outcome), pair=pair, companion=companion)


def report(stats: Stats, of: Target, pair: int, through: Outcome, direct: Outcome) -> None:
    sides = [half(of, through, pair, companion=False), half(of, direct, pair, companion=True)]
    for side in sides if pair % 2 else reversed(sides):
        stats.report(side)


def test_a_pair_becomes_a_difference() -> None:
    one = target(critical=True, compare=COMPARE)
    stats = Stats([one])
    before = values(stats)
    assert before["added_rtt_pairs", *LABELS] == before["added_rtt_measured_total", *LABELS] == 0
    assert {key[4] for key in before if key[0] == "added_rtt_unmeasured_total"} == set(metric.UNMEASURED)
    assert not [key for key in before if key[0] == "added_rtt_seconds"]
    for pair, added in enumerate((0.001, 0.003, 0.002, 0.005, 0.02, 0.004), 1):
        report(stats, one, pair, rtt(0.010 + added), rtt(0.010))
    found = values(stats)
    assert found["added_rtt_pairs", *LABELS] == 6
    assert found["added_rtt_measured_total", *LABELS] == 6
    assert found["added_rtt_good_total", *LABELS] == 5
    stats_found = {key[4]: value for key, value in found.items() if key[0] == "added_rtt_seconds"}
    assert stats_found == pytest.approx({"median": 0.0035, "floor": 0.001, "median_low": 0.001, "median_high": 0.02})
    for path, total in (("through", 0.095), ("direct", 0.06)):
        counts, added = histogram(stats, metric.PAIRED_RTT, *LABELS, path)
        assert sum(counts) == 6
        assert added == pytest.approx(total)
    assert found["attempts_total", *LABELS] == found["success_total", *LABELS] == 6  # companions are none
    assert sum(histogram(stats, metric.RTT, *LABELS)[0]) == 6
    (row,) = stats.added()
    assert (row.labels, row.trouble, row.compare) == (LABELS, "", COMPARE)


@pytest.mark.parametrize(
    ("through", "direct", "side", "trouble"),
    [
        (refused(), rtt(0.1), "through", "through the NAT: Connection refused"),
        (rtt(0.1), Outcome(Reason.TIMEOUT), "direct", "without the NAT: timeout"),
        (refused(), Outcome(Reason.TIMEOUT, "silence"), "both", "without the NAT: silence"),
        (rtt(0.1, Clock.USERSPACE), rtt(0.1), "clock", "no round trip by the kernel's clock"),
        (rtt(0.1), rtt(0.1, Clock.USERSPACE), "clock", "no round trip by the kernel's clock"),
        (Outcome(syn_retransmits=1), rtt(0.1), "clock", "no round trip by the kernel's clock"),
        (Outcome(Reason.ADDRESS, rtt=0.1, clock=Clock.KERNEL_RX), rtt(0.1), "through", "through the NAT: address"),
    ],
)
def test_a_pair_without_a_difference_is_counted_by_the_side_that_failed(
    through: Outcome, direct: Outcome, side: str, trouble: str
) -> None:
    one = target(critical=True, compare=COMPARE)
    stats = Stats([one])
    report(stats, one, 1, through, direct)
    found = values(stats)
    unmeasured = {key[4]: value for key, value in found.items() if key[0] == "added_rtt_unmeasured_total"}
    assert unmeasured == {name: float(name == side) for name in metric.UNMEASURED}
    assert found["added_rtt_measured_total", *LABELS] == found["added_rtt_pairs", *LABELS] == 0
    assert trouble in stats.added()[0].trouble
    report(stats, one, 2, rtt(0.1), rtt(0.1))
    assert stats.added()[0].trouble == ""


sides = st.builds(
    Outcome,
    reason=st.sampled_from([None, None, *Reason]),
    rtt=st.none() | st.floats(1e-6, 1),
    clock=st.sampled_from(Clock),
)


@given(st.lists(st.tuples(st.integers(0, 2), sides, sides)))
def test_every_pair_is_measured_or_not_and_companions_are_no_attempts(
    reports: list[tuple[int, Outcome, Outcome]],
) -> None:
    targets = [
        target("a.test", name="one", critical=True, compare=COMPARE),
        target("b.test", name="rest", compare=COMPARE),
        target("c.test", name="rest", compare=COMPARE),
    ]
    stats = Stats(targets)
    for pair, (index, through, direct) in enumerate(reports, 1):
        report(stats, targets[index], pair, through, direct)
    totals: Counter[str] = Counter()
    for key, value in values(stats).items():
        totals[key[0]] += int(value)
    assert totals["attempts_total"] == len(reports)
    assert totals["success_total"] + totals["failures_total"] == len(reports)
    assert totals["added_rtt_measured_total"] + totals["added_rtt_unmeasured_total"] == len(reports)
    assert totals["added_rtt_measured_total"] == totals["added_rtt_pairs"] >= totals["added_rtt_good_total"]
    for path in metric.PATHS:
        own, shared = (
            histogram(stats, metric.PAIRED_RTT, *labels, path)[0]
            for labels in (("one", "udp", "a.test:7"), ("", "udp", ""))
        )
        assert sum(own) + sum(shared) == totals["added_rtt_measured_total"]


def test_targets_that_share_a_series_share_a_window_and_their_halves_are_not_mixed_up() -> None:
    first, second = target("a.test", compare=COMPARE), target("b.test", compare=COMPARE)
    stats = Stats([first, second])
    stats.report(half(first, rtt(0.011), 1, companion=False))
    stats.report(half(second, rtt(0.052), 2, companion=False))
    stats.report(half(first, rtt(0.010), 1, companion=True))
    stats.report(half(second, rtt(0.050), 2, companion=True))
    found = values(stats)
    assert found["added_rtt_pairs", "test", "udp", ""] == 2
    assert found["added_rtt_seconds", "test", "udp", "", "median"] == pytest.approx(0.0015)
    assert found["added_rtt_seconds", "test", "udp", "", "floor"] == pytest.approx(0.001)


def test_a_half_whose_other_half_never_came_is_forgotten() -> None:
    one = target(critical=True, compare=COMPARE)
    stats = Stats([one])
    stats.report(half(one, rtt(0.5), 1, companion=False))
    report(stats, one, 2, rtt(0.02), rtt(0.01))
    stats.report(half(one, rtt(0.5), 3, companion=True))
    stats.retarget([one])  # another engine may begin to count its pairs anew
    stats.report(half(one, rtt(0.7), 3, companion=False))
    found = values(stats)
    assert found["added_rtt_measured_total", *LABELS] == 1
    assert found["added_rtt_seconds", *LABELS, "median"] == pytest.approx(0.01)


def test_pairs_grow_old() -> None:
    one, time = target(critical=True, compare=COMPARE), Time()
    stats = Stats([one], time)
    for pair in range(1, 101):
        time.now += 1
        report(stats, one, pair, rtt(0.02), rtt(0.01))
    assert values(stats)["added_rtt_pairs", *LABELS] == 61
    time.now += 100
    found = values(stats)
    assert found["added_rtt_pairs", *LABELS] == 0
    assert found["added_rtt_measured_total", *LABELS] == 100
    assert not [key for key in found if key[0] == "added_rtt_seconds"]


def test_another_definition_keeps_what_was_counted_and_forgets_pairs_of_another_path() -> None:
    one = target(critical=True, compare=COMPARE)
    stats = Stats([one])
    report(stats, one, 1, rtt(0.02), rtt(0.01))
    stats.retarget([target(critical=True, compare=COMPARE, interval_seconds=20.0)])
    assert values(stats)["added_rtt_pairs", *LABELS] == 1
    stats.retarget([target(critical=True, compare=Compare(mark=8))])
    found = values(stats)
    assert (found["added_rtt_pairs", *LABELS], found["added_rtt_measured_total", *LABELS]) == (0, 1)
    stats.retarget([target(critical=True)])
    report(stats, one, 2, rtt(0.02), rtt(0.01))  # a last word of the old engine
    assert not [key for key in values(stats) if key[0].startswith("added_rtt")]
    assert stats.added() == []
    stats.retarget([target("other.test", compare=COMPARE)])
    report(stats, one, 3, rtt(0.02), rtt(0.01))
    assert values(stats)["added_rtt_measured_total", "test", "udp", ""] == 0


def test_access_probes_have_their_own_series_and_no_outbound_ones() -> None:
    gateway, outside = target("10.0.1.1", name="gateway", access=True), target("198.51.100.1")
    stats = Stats([gateway, outside])
    for number, outcome in enumerate(
        (rtt(0.0001), refused(), rtt(0.0002, Clock.USERSPACE), Outcome(syn_retransmits=1))
    ):
        stats.report(attempt(gateway, outcome, number=int(number == 1)))
    stats.report(attempt(gateway, refused()))
    stats.report(attempt(outside, rtt(0.3)))
    stats.late(gateway)
    found = values(stats)
    access = ("gateway", "udp", "")
    assert found["access_attempts_total", *access] == 4
    assert found["access_success_total", *access] == 2
    assert found["late_total", *access] == 1
    assert found["round_trips_total", *access, "userspace"] == 1
    outbound = {"attempts_total", "first_attempt_success_total", "retries_total", "success_total", "failures_total"}
    assert not [key for key in found if key[0] in outbound and "gateway" in key]
    assert found["attempts_total", "test", "udp", ""] == 1
    counts, total = histogram(stats, metric.ACCESS_RTT, "", "udp", "")
    assert sum(counts) == 1
    assert total == pytest.approx(0.0001)
    for row in (metric.RTT, metric.DURATION):  # shared by kind: the outbound ones alone
        assert sum(histogram(stats, row, "", "udp", "")[0]) == 1


def test_a_probe_that_becomes_an_access_probe_begins_anew() -> None:
    stats = Stats([target()])
    stats.report(attempt(target()))
    stats.retarget([target(access=True)])
    stats.report(attempt(target()))
    found = values(stats)
    assert found["access_attempts_total", "test", "udp", ""] == 1
    assert ("attempts_total", "test", "udp", "") not in found
