"""The verdict of the gate, from series written by hand; every number is another one, so that a swap shows."""

import re
from typing import Any

import pytest

from natobs.slo.gate import Gate, Question, Verdict, judge
from natobs.slo.prometheus import Series

BUDGET = 0.01
SHORT, LONG = "slo:sli_error:ratio_rate30m", "slo:sli_error:ratio_rate6h"
M1 = {"sloth_id": "nat-m1", "sloth_service": "nat", "sloth_slo": "m1"}
HERE = {"nat_cluster": "a", "nat": "nat-1"}


def budget(value: float | None = BUDGET, **more: str) -> Series:
    return Series({"__name__": "slo:error_budget:ratio", **M1, **more}, value)


def errors(short: float | None = 0.0, long: float | None = 0.0, **more: str) -> list[Series]:
    labels = {**M1, **HERE, **more}
    return [
        Series({"__name__": SHORT, "sloth_window": "30m", **labels}, short),
        Series({"__name__": LONG, "sloth_window": "6h", **labels}, long),
    ]


def verdicts(gate: Gate) -> list[str]:
    return [row.verdict.value for row in gate.rows]


@pytest.mark.parametrize(
    ("short", "long", "verdict"),
    [
        (0.0, 0.0, "free"),
        (0.05, 0.07, "burning"),
        (0.04, 0.04, "burning"),  # at the factor
        (0.0399, 0.07, "free"),
        (0.05, 0.0399, "free"),
        (None, None, "unknown"),
        (None, 0.07, "unknown"),
        (0.05, None, "unknown"),
        (None, 0.03, "free"),  # one window is enough to know that it does not burn
        (0.03, None, "free"),
    ],
)
def test_an_slo_burns_when_both_windows_do_and_no_data_never_reads_as_met(
    short: float | None, long: float | None, verdict: str
) -> None:
    for found in ([budget(), *errors(short, long)], [*errors(short, long)[::-1], budget()]):
        gate = judge(found, Question())
        assert (gate.verdict.value, verdicts(gate)) == (verdict, [verdict])
    absent = [one for one in errors(short, long) if one.value is not None]
    assert judge([budget(), *absent], Question()).verdict.value == verdict


def test_burn_rates_are_multiples_of_the_budget() -> None:
    (row,) = judge([budget(), *errors(0.05, 0.07)], Question()).rows
    assert (row.budget, row.burn_30m, row.burn_6h) == pytest.approx((0.01, 5.0, 7.0))
    assert row.labels == {**M1, **HERE}
    assert row.why == ""


def test_the_factor_is_the_question_s() -> None:
    found = [budget(), *errors(0.05, 0.07)]
    assert judge(found, Question(5.1)).verdict is Verdict.FREE
    assert judge(found, Question(4.9)).verdict is Verdict.BURNING


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "no SLO is recorded"),
        ([budget()], "no error ratio over 30 minutes and 6 hours"),
        (errors(), "its error budget is not recorded"),
        ([budget(None), *errors()], "its error budget is not recorded"),
        ([budget(0.0), *errors()], "its error budget is 0"),
        ([budget(), *errors(0.05, None)], "no error ratio over 6 hours"),
        ([budget(), *errors(None, 0.05)], "no error ratio over 30 minutes"),
    ],
)
def test_what_is_not_known_is_said(found: list[Series], why: str) -> None:
    gate = judge(found, Question())
    assert gate.verdict is Verdict.UNKNOWN
    assert why in [gate.why, *(row.why for row in gate.rows)][-1]


def test_one_is_enough_to_burn_and_the_worst_comes_first() -> None:
    found = [budget(), *errors(nat="nat-1"), *errors(None, None, nat="nat-2"), *errors(0.05, 0.07, nat="nat-3")]
    gate = judge(found, Question())
    assert gate.verdict is Verdict.BURNING
    assert [(row.labels["nat"], row.verdict.value) for row in gate.rows] == [
        ("nat-3", "burning"),
        ("nat-2", "unknown"),
        ("nat-1", "free"),
    ]
    assert judge(found[:5], Question()).verdict is Verdict.UNKNOWN


def test_the_budget_of_a_group_goes_before_the_one_for_all() -> None:
    found = [budget(0.5), budget(0.02, nat="nat-1"), budget(0.005, nat="nat-2"), *errors(0.06, 0.06)]
    assert [row.budget for row in judge(found, Question()).rows if row.burn_6h is not None] == [0.02]


def test_series_of_the_same_slo_that_differ_otherwise_are_judged_apart() -> None:
    gate = judge([budget(), *errors(0.05, 0.07, destination="pay"), *errors(destination="mail")], Question())
    assert [(row.labels["destination"], row.verdict.value) for row in gate.rows] == [
        ("pay", "burning"),
        ("mail", "free"),
    ]


def test_a_cluster_has_all_slos_or_is_unknown() -> None:
    found = [budget(), *errors(), *errors(0.05, 0.07, nat_cluster="b")]
    assert judge(found, Question(cluster="a")).verdict is Verdict.FREE
    assert judge(found, Question(cluster="b")).verdict is Verdict.BURNING
    gate = judge(found, Question(cluster="c"))
    assert (gate.verdict, verdicts(gate)) == (Verdict.UNKNOWN, ["unknown"])
    assert "of cluster c is recorded" in judge([], Question(cluster="c")).why


def test_an_slo_that_was_asked_for_must_be_there() -> None:
    found = [budget(), *errors()]
    assert judge(found, Question(slos=("nat-m1",))).verdict is Verdict.FREE
    gate = judge(found, Question(slos=("nat-m1", "nat-m7")))
    assert [(row.labels["sloth_id"], row.verdict.value) for row in gate.rows] == [
        ("nat-m7", "unknown"),
        ("nat-m1", "free"),
    ]
    other: dict[str, Any] = {"sloth_id": "nat-m6"}
    assert judge([*found, *errors(0.05, 0.07, **other)], Question(slos=("nat-m1",))).verdict is Verdict.FREE


def test_other_series_are_nobody_s_business() -> None:
    stranger = Series({"__name__": "slo:sli_error:ratio_rate5m", **M1, **HERE}, 1.0)
    assert judge([stranger], Question()).why.startswith("no SLO is recorded")


def test_a_cluster_s_name_is_text_and_never_a_pattern() -> None:
    pattern = re.search(r'nat_cluster=~"(.*)"}', Question(cluster='a.b|c"').expression)
    assert pattern
    assert pattern[1] == r"|a\\.b\\|c\""
