"""How objectives stand, from series written by hand; every number is another one, so that a swap shows."""

import pytest

from natobs.slo.prometheus import Series
from natobs.slo.status import OBJECTIVES, Standing, State, budgets, recorded, standings

ERRORS, LEFT, BURN = (
    "slo:sli_error:ratio_rate30d",
    "slo:period_error_budget_remaining:ratio",
    "slo:current_burn_rate:ratio",
)
M1 = {"sloth_id": "nat-m1", "sloth_service": "nat", "sloth_slo": "m1"}


def objective(slo: str = "nat-m1", target: float = 0.99, title: str = "Success") -> list[Series]:
    labels = {**M1, "sloth_id": slo}
    return [
        Series({"__name__": "slo:objective:ratio", **labels}, target),
        Series({"__name__": "natobs_slo_info", **labels, "title": title, "objective": str(target)}, 1.0),
    ]


def group(nat: str, errors: float | None, left: float | None, burn: float | None, **more: str) -> list[Series]:
    labels = {**M1, "nat_cluster": "a", "nat": nat, **more}
    return [
        Series({"__name__": ERRORS, "sloth_window": "30d", **labels}, errors),
        Series({"__name__": LEFT, **labels}, left),
        Series({"__name__": BURN, **labels}, burn),
    ]


def only(*series: Series) -> Standing:
    (one,) = standings(series)
    return one


def test_an_objective_shows_its_target_and_the_budgets_the_worst_first() -> None:
    one = only(*objective(), *group("nat-1", 0.001, 0.9, 0.2), *group("nat-2", 0.003, 0.7, 5.0))
    assert (one.id, one.title, one.target, one.unknown, one.state) == ("nat-m1", "Success", 0.99, 0, State.KEPT)
    assert [(each.labels["nat"], each.errors, each.left, each.burn) for each in one.groups] == [
        ("nat-2", 0.003, 0.7, 5.0),
        ("nat-1", 0.001, 0.9, 0.2),
    ]
    assert "__name__" not in one.groups[0].labels
    assert "sloth_window" not in one.groups[0].labels


@pytest.mark.parametrize(
    ("lefts", "state"),
    [
        ([0.9, 0.7], State.KEPT),
        ([0.9, 0.0], State.SPENT),  # nothing left
        ([0.9, -0.3], State.SPENT),
        ([0.9, None], State.UNKNOWN),  # never reads as kept
        ([None, -0.3], State.SPENT),  # what is known is bad enough
        ([None], State.UNKNOWN),
        ([], State.UNKNOWN),
    ],
)
def test_one_spent_budget_is_enough_and_one_unknown_is_not_kept(lefts: list[float | None], state: State) -> None:
    groups = [one for number, left in enumerate(lefts) for one in group(f"nat-{number}", 0.002, left, 0.3)]
    one = only(*objective(), *groups)
    assert one.state is state
    assert one.unknown == lefts.count(None)
    assert len(one.groups) == len(lefts) - lefts.count(None)


def test_no_events_now_leave_the_budget_known() -> None:
    (known,) = only(*objective(), *group("nat-1", 0.002, 0.8, None)).groups
    assert (known.left, known.burn) == (0.8, None)


def test_the_worst_objective_comes_first_and_those_without_data_before_those_that_are_kept() -> None:
    found = [
        *objective("nat-kept"),
        *group("nat-1", 0.001, 0.9, 0.1, sloth_id="nat-kept"),
        *objective("nat-nearly"),
        *group("nat-1", 0.009, 0.1, 0.4, sloth_id="nat-nearly"),
        *objective("nat-silent"),
        *objective("nat-spent"),
        *group("nat-1", 0.02, -1.0, 2.0, sloth_id="nat-spent"),
    ]
    for order in (found, found[::-1]):
        assert [one.id for one in standings(order)] == ["nat-spent", "nat-silent", "nat-nearly", "nat-kept"]


def test_a_cluster_is_judged_by_its_own_budgets_and_by_targets_that_belong_to_none() -> None:
    found = [*objective(), *group("nat-1", 0.02, -1.0, 2.0), *group("nat-2", 0.001, 0.9, 0.1, nat_cluster="b")]
    (one,) = standings(found, "b")
    assert (one.target, one.state, [each.labels["nat"] for each in one.groups]) == (0.99, State.KEPT, ["nat-2"])
    assert standings([]) == ()


def test_budgets_are_asked_for_one_objective_after_the_other() -> None:
    assert recorded([*objective("nat-m6"), *objective("nat-m1")]) == ["nat-m6", "nat-m1"]
    assert "slo:objective:ratio" in OBJECTIVES
    names = f'__name__=~"{ERRORS}|{LEFT}|{BURN}"'
    assert budgets("nat-m1") == f'{{{names},sloth_id="nat-m1"}}'
    assert budgets('a"b', "egress.a") == f'{{{names},sloth_id="a\\"b",nat_cluster=~"|egress\\\\.a"}}'


def test_series_of_sloth_without_a_title_are_read_too() -> None:
    one = only(*group("", 0.001, 0.9, 0.1))
    assert (one.id, one.title, one.target, one.state) == ("nat-m1", "", None, State.KEPT)
