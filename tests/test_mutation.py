"""The tests of the rules notice mutants; the machinery that makes mutants makes all of them."""

from pathlib import Path

from tests.conftest import Figure
from tests.mutation import run
from tests.mutation.corpus import Rule, load
from tests.mutation.mutants import mutants
from tests.promtool import ROOT

SAMPLE, SEED = 40, 20
GOAL = 0.9
"""Of a small sample; ``make mutants`` runs all of them and asks for more."""

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


def test_a_rule_that_is_right_passes_and_one_that_is_wrong_does_not(tmp_path: Path) -> None:
    corpus = load(ROOT / "alerts")
    rule = next(rule for rule in corpus.rules if rule.name == "NatTableEvicting")
    tests = corpus.concerned(rule, 2)
    assert corpus.failures(tests, tmp_path, rule) == ""
    wrong = Rule(rule.group, rule.place, {**rule.body, "expr": rule.body["expr"].replace("> 0", "> 1")})
    assert "NatTableEvicting" in corpus.failures(tests, tmp_path, wrong)


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
