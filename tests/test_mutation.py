"""The tests of the rules notice mutants; the machinery that makes mutants makes all of them."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Figure
from tests.mutation import equivalent, run
from tests.mutation.batch import BatchError
from tests.mutation.corpus import Corpus, Rule, load
from tests.mutation.corpus import Test as Proof
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.run import Result
from tests.promtool import ROOT

SAMPLE, SEED = 40, 20
GOAL = 0.9
"""Of a small sample; ``make mutants`` runs all of them and asks for more."""

QUICK = {"NatTableEvicting", "NatChainsTooLong", "NatLinkDown", "NatDefaultRouteMissing"}
"""Whose tests are quick with all rules too."""

EXPRESSION = """
    (
        sum by (nat_cluster, nat) (increase(natobs_a_total{reason="x", proto=~"tcp|udp"}[5m] offset 10m))
      /
        (max by (nat) (b) > 20)
    )
  >=
    0.5
or
  (c - 600) and on (nat) (d unless on (nat) nat:maintenance:active)
"""
RULE = Rule(
    "g",
    0,
    {
        "alert": "NatExample",
        "expr": EXPRESSION,
        "for": "1m30s",
        "labels": {"severity": "critical"},
        "annotations": {"summary": "x"},
    },
)


def changes(kind: str) -> list[str]:
    return [mutant.change for mutant in mutants(RULE) if mutant.kind == kind]


def test_a_sample_of_mutants_is_noticed(figure: Figure) -> None:
    corpus = load(ROOT / "alerts")
    results = run.run(corpus, run.sample(corpus, SAMPLE, SEED))
    figure("\n" + "\n".join(run.table(results)))
    assert run.share(results) >= GOAL


def test_verdicts_are_those_of_all_rules_with_whole_tests(tmp_path: Path) -> None:
    corpus = load(ROOT / "alerts")
    chosen = [mutant for mutant in run.all_mutants(corpus) if mutant.rule.name in QUICK]
    chosen = random.Random(SEED).sample(chosen, 4)  # noqa: S311  no secret
    [rule] = [rule for rule in corpus.rules if rule.name == "NatTableEvicting"]
    right = rule.body["expr"].replace("> 0", "> 0.5")
    chosen.append(Mutant("", replace(rule, body={**rule.body, "expr": right}), "no difference"))
    verdicts = [result.killed for result in run.run(corpus, chosen)]
    assert verdicts == [run.noticed_by_all_rules(corpus, mutant, tmp_path) for mutant in chosen]
    assert set(verdicts) == {True, False}


FIRING = 'ALERTS{{alertname="NatA", alertstate="firing", nat="{}", severity="{}"}}'
FIRE = [{"labels": FIRING.format(*one), "value": 1} for one in ((2, "warning"), (3, "warning"), (3, "critical"))]
SMALL = Corpus(
    (
        Rule("g", 0, {"record": "a:b", "expr": "max by (nat) (b)"}),
        Rule("g", 1, {"alert": "NatA", "expr": "a:b > 1", "labels": {"severity": "warning"}}),
        Rule("g", 2, {"alert": "NatA", "expr": "a:b > 2", "labels": {"severity": "critical"}}),
    ),
    (
        Proof(
            "t.yml",
            "1m",
            {
                "name": "a",
                "interval": "1m",
                "input_series": [
                    {"series": f'b{{nat="{number // 2}", cpu="{number % 2}"}}', "values": f"{number // 2}x5"}
                    for number in range(2, 8)
                ],
                "promql_expr_test": [{"expr": 'ALERTS{alertname="NatA"}', "eval_time": "2m", "exp_samples": FIRE}],
            },
        ),
    ),
)


def small(place: int, **mutants: str) -> dict[str, bool]:
    """Which of these expressions in place of a rule's own are noticed."""
    rule = SMALL.rules[place]
    made = [Mutant(name, replace(rule, body={**rule.body, "expr": text}), "", "") for name, text in mutants.items()]
    return {result.mutant.kind: result.killed for result in run.run(SMALL, made)}


def test_mutants_in_one_file_do_not_meet_one_another() -> None:
    found = small(2, other="a:b > 3", same="a:b > 2.5", turned="a:b < 2")
    assert found == {"other": True, "same": False, "turned": True}


def test_what_reads_a_rule_that_is_wrong_notices() -> None:
    assert small(0, other="min by (nat) (b) + 1", same="min by (nat) (b)") == {"other": True, "same": False}


def test_a_mutant_at_which_promtool_stops_does_not_hide_the_others() -> None:
    found = small(1, many="b * on (nat) b > 1", same="a:b > 1.5", unread="a:b > (", turned="a:b < 1")
    assert found == {"many": True, "same": False, "unread": True, "turned": True}


def test_a_test_that_fails_without_any_mutant_is_no_verdict() -> None:
    wrong = replace(SMALL, rules=(SMALL.rules[0], replace(SMALL.rules[1], body=SMALL.rules[2].body), SMALL.rules[2]))
    with pytest.raises(BatchError, match="a: NatA"):
        run.run(wrong, [Mutant("x", wrong.rules[1], "", "")])


def test_what_makes_no_difference_counts_as_missed_and_must_not_be_noticed() -> None:
    rule = Rule("g", 0, {"alert": "NatWatchdog", "expr": "count(up) > 0"})
    made = next(mutant for mutant in mutants(rule) if mutant.change == "0 -> -1")
    lives, noticed, other = Result(made, killed=False), Result(made, killed=True), Result(mutant_of(rule), killed=True)
    assert run.share([lives, other]) == 0.5
    assert run.misplaced([lives, other]) == []
    assert run.misplaced([lives, noticed]) == [noticed]
    table = run.table([lives, noticed, other])
    assert "1 of     1 killed" in next(line for line in table if line.startswith("that differ"))
    assert any(line.startswith("noticed, and said to make no difference: NatWatchdog: 0 -> -1") for line in table)
    assert not any(line.startswith("lives") for line in table)


def mutant_of(rule: Rule) -> Mutant:
    return next(mutant for mutant in mutants(rule) if mutant.change == "> -> <")


def test_every_mutant_that_makes_no_difference_is_still_made() -> None:
    made = run.all_mutants(load(ROOT / "alerts"))
    assert {equivalent.reason(mutant) for mutant in made} == {"", *(one.reason for one in equivalent.KNOWN)}


def test_thresholds_are_moved_both_ways() -> None:
    assert changes("threshold") == ["20 -> 22", "20 -> 18", "0.5 -> 0.55", "0.5 -> 0.45"]


def test_other_numbers_are_factors() -> None:
    assert changes("factor") == ["600 -> 660", "600 -> 540"]


def test_windows_and_offsets_are_doubled_and_halved() -> None:
    found = ["5m -> 600000ms", "5m -> 150000ms", "10m -> 1200000ms", "10m -> 300000ms"]
    assert changes("window") == found


def test_comparisons_become_stricter_and_turn_round() -> None:
    assert changes("comparison") == ["> -> >=", "> -> <", ">= -> >", ">= -> <="]


def test_matchers_are_left_out_and_negated() -> None:
    assert changes("matcher") == ['reason="x", -> nothing', "= -> !=", 'proto=~"tcp|udp" -> nothing', "=~ -> !~"]


def test_each_label_of_an_aggregation_and_of_a_join_is_left_out() -> None:
    assert len(changes("by, on")) == 2 + 1 + 1 + 1


def test_branches_conditions_and_masks_are_left_out() -> None:
    assert len(changes("or branch")) == 2
    assert changes("and") == ["without and on (nat) (d unless on (nat) nat:maintenance:active)"]
    assert changes("unless") == ["without unless on (nat) nat:maintenance:active"]
    [masked] = [mutant.rule.body["expr"] for mutant in mutants(RULE) if mutant.kind == "unless"]
    assert masked.endswith("(d )\n")


def test_arithmetic_is_inverted() -> None:
    assert changes("arithmetic") == ["/ -> *", "- -> +"]


def test_waits_are_doubled_halved_and_invented() -> None:
    assert changes("for") == ["for: 180000ms instead of 1m30s", "for: 45000ms instead of 1m30s"]
    assert changes("keep_firing_for") == ["keep_firing_for: 5m instead of none"]


def test_labels_are_left_out_and_misspelt() -> None:
    assert changes("label") == ["without severity", "severity: criticalx"]
