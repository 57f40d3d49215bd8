"""The matrix of kinds and reasons is complete: each pair is produced in the lab, or said to be impossible, and why."""

from natobs.catalogue.metrics import probes as metric
from natobs.probes.model import PathState, Reason
from natobs.probes.registry import ALL
from tests.lab.reason_scenarios import IMPOSSIBLE, SCENARIOS, TOO_COSTLY, VARIANTS, kind_of, working

PRODUCED = {
    (kind_of(variant), scenario.reason) for scenario in SCENARIOS if scenario.reason for variant in scenario.variants
}


def test_every_reason_of_every_kind_is_produced_or_impossible() -> None:
    every = {(kind, reason.value) for kind in ALL for reason in Reason}
    assert every - PRODUCED - IMPOSSIBLE == TOO_COSTLY, "a pair that no scenario produces"
    assert every == PRODUCED | IMPOSSIBLE | TOO_COSTLY, "a pair of something that there is not"


def test_nothing_impossible_is_produced() -> None:
    assert set() == PRODUCED & (IMPOSSIBLE | TOO_COSTLY)


def test_every_kind_is_attempted_where_nothing_is_wrong() -> None:
    assert {kind_of(variant) for variant in VARIANTS} == set(ALL)
    assert [scenario.variants for scenario in SCENARIOS if not scenario.order and not scenario.reason] == [VARIANTS]
    assert {working(variant, "")["kind"] for variant in VARIANTS} == set(ALL)


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert sorted(set(names)) == sorted(names)


def test_the_catalogue_has_the_same_words() -> None:
    assert tuple(reason.value for reason in Reason) == metric.REASONS
    assert tuple(ALL) == metric.KINDS
    assert tuple(state.value for state in PathState) == metric.PATH_STATES
