"""The alerts of the catalogue fit together, and with the objectives."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from natobs.catalogue import slis
from natobs.catalogue.alerting import Alert, note, page, ticket
from natobs.catalogue.alerts import ALL
from natobs.catalogue.metrics import conntrack
from natobs.catalogue.objectives import ALL as OBJECTIVES
from natobs.catalogue.objectives import TIERS, service
from natobs.catalogue.promql import Scope, increase, series, total
from natobs.errors import CatalogueError

BURNS = {objective.alert for objective in (*OBJECTIVES, service("x", 0.9, 60))}
BY_NAME = {alert.name: alert for alert in ALL}
EXAMPLE = Alert(
    "NatExample",
    "M1",
    Scope.NAT,
    total(Scope.NAT, increase(series(conntrack.EARLY_DROP), 300)),
    ">",
    (ticket(1), page(2)),
    "Something is wrong.",
    "{nat} has {value}.",
)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(ALL) > 40
    assert not BURNS & set(BY_NAME)


def test_what_is_silenced_exists() -> None:
    for alert in ALL:
        assert set(alert.silences) <= set(BY_NAME) | BURNS, alert.name


def test_no_two_alerts_silence_each_other() -> None:
    mutual = [
        (alert.name, other)
        for alert in ALL
        for other in alert.silences
        if other in BY_NAME and alert.name in BY_NAME[other].silences
    ]
    assert mutual == []


def cycle(silences: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A round of alerts of which each silences the next; empty where there is none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in silences.get(name, ()):
            if found := visit(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in silences if (found := visit(name, []))), [])


def test_no_round_of_alerts_silences_itself() -> None:
    assert cycle({alert.name: alert.silences for alert in ALL}) == []
    assert cycle({"a": ("b",), "b": ("c",), "c": ("a",)}) == ["a", "b", "c"]


def test_every_fault_and_every_indicator_has_an_alert() -> None:
    assert {alert.fault for alert in ALL} - {""} == {f"F{number}" for number in range(1, 10)}
    watched = {alert.sli for alert in ALL} | {objective.sli for objective in OBJECTIVES}
    assert {sli.id for sli in slis.ALL} <= watched
    assert all(sli.inputs for sli in slis.ALL)


def test_every_objective_but_that_of_changes_has_an_alert_for_each_tier() -> None:
    assert {objective.sli for objective in OBJECTIVES} == {f"M{number}" for number in range(1, 10)}
    for objective in OBJECTIVES:
        assert {tier.action.value for tier in objective.tiers()} >= {"freeze", "ticket"}
        assert len(objective.tiers()) == len(TIERS) - (0 if objective.pages else 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "TableFull"}, "starts with Nat"),
        ({"fault": "F10"}, "its fault is F1 to F9"),
        ({"levels": ()}, "needs a level"),
        ({"levels": (ticket(2), page(1))}, "become worse"),
        ({"levels": (ticket(1), ticket(2))}, "alike"),
        ({"compare": "<"}, "become worse"),
        ({"summary": "{nat} is wrong."}, "without values"),
        ({"description": "no sentence"}, "its description is a sentence"),
        ({"silences": ("NatExample",)}, "silences itself"),
    ],
)
def test_an_alert_that_breaks_a_rule_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        replace(EXAMPLE, **changes)  # type: ignore[arg-type]  # that is what is tested


def test_levels_know_what_becomes_of_them() -> None:
    assert [one(1).action.value for one in (page, ticket, note)] == ["page", "ticket", "none"]
    assert EXAMPLE.labels == ("nat_cluster", "nat")
