"""Tests of when bad events are explained: which alerts that fire say why the budget of an objective burns.

Computed from what alerts silence; no expression is read.
"""

from collections.abc import Iterator, Sequence

from natobs.catalogue import naming
from natobs.catalogue.alerting import Alert
from natobs.catalogue.naming import MINUTE, Action
from natobs.catalogue.objectives import Objective
from natobs.catalogue.promql import Rendering, Scope
from natobs.generate.proofs import expect, notation
from natobs.generate.proofs.cases import Place
from natobs.generate.proofs.recorded import Test, test
from natobs.generate.rules.recording import identity

_STRANGER = "NatWatchdog"
"""An alert that explains nothing."""
_SOME, _NONE = "3x5", "0x5"
"""What is explained need not have happened: it is who fires that counts."""


def tests(objectives: Sequence[Objective], alerts: Sequence[Alert], rendering: Rendering) -> Iterator[tuple[int, Test]]:
    """A test for each objective that any alert explains, and the seconds between its evaluations."""
    for objective in objectives:
        if any(objective.alert in alert.silences for alert in alerts):
            yield MINUTE, _explained(objective, alerts, rendering)


def _explained(objective: Objective, alerts: Sequence[Alert], rendering: Rendering) -> Test:
    """Each alert fires somewhere, of each action; beside it, places where it only looks as if."""
    series: dict[str, str] = {}
    found: list[str] = []
    number = 100
    for alert in alerts:
        for action in (Action.PAGE, Action.TICKET):
            number += 10
            here = Place(number, number, number)
            twin, pending, foreign = (here._replace(cluster=number + more) for more in (4, 5, 6))
            series |= dict.fromkeys((_events(objective, place) for place in _alike(here, alert.scope)), _NONE)
            series |= dict.fromkeys((_events(objective, place) for place in (twin, pending)), _SOME)
            other = {naming.SLO_LABELS[0]: "nat-other"}
            series |= dict.fromkeys((_events(objective, place, **other) for place in (here, foreign)), _SOME)
            fired = [_fires(alert.name, place, alert.scope, action) for place in (here, twin, foreign)]
            series |= dict.fromkeys((*fired, _fires(alert.name, pending, alert.scope, action, "pending")), "1x5")
            if any(level.action is action for level in alert.levels):  # else it looks as if, and explains nothing
                for explains in _explains(objective, alert, action):
                    places = (here, twin)
                    found += [
                        notation.named(naming.EXPLAINED.name, _named(objective, place, explains)) for place in places
                    ]
    for action in (Action.PAGE, Action.TICKET):
        number += 10
        stranger = Place(number, number, number)
        series[_fires(_STRANGER, stranger, Scope.SUBNET, action)] = "1x5"
        series[_events(objective, stranger)] = _SOME
    asked = notation.named(naming.EXPLAINED.name, {naming.SLO_LABELS[0]: objective.id})
    expected = dict.fromkeys(found, 1.0)
    at = rendering.duration(2 * MINUTE)
    return test(
        f"what explains {objective.id}", MINUTE, series.items(), [expect.samples(asked, at, expected)], rendering
    )


def _explains(objective: Objective, alert: Alert, action: Action) -> Iterator[Action]:
    """Alerts on the budget of which action an alert explains."""
    if objective.alert in alert.silences:
        yield action
        if action is Action.TICKET and objective.alert in alert.explains:
            yield Action.PAGE


def _alike(here: Place, scope: Scope) -> Iterator[Place]:
    """The place itself, and those that differ in one label that counts for an alert of this scope."""
    yield here
    yield here._replace(cluster=here.cluster + 1)
    if scope is not Scope.CLUSTER:
        yield here._replace(nat=here.nat + 1)
    if scope is Scope.SUBNET:
        yield here._replace(subnet=here.subnet + 1)


def _budget(objective: Objective, place: Place) -> dict[str, str]:
    extra = dict.fromkeys(objective.extra, "api.example:443")
    return {**place.shown(objective.scope), **extra, **identity(objective), naming.SLI: objective.sli}


def _events(objective: Objective, place: Place, **labels: str) -> str:
    return notation.named(naming.TOTAL.name, _budget(objective, place) | labels)


def _named(objective: Objective, place: Place, action: Action) -> dict[str, str]:
    return {**_budget(objective, place), naming.ACTION: action.value}


def _fires(alert: str, place: Place, scope: Scope, action: Action, state: str = "firing") -> str:
    labels = {"alertname": alert, "alertstate": state, **place.shown(scope), naming.ACTION: action.value}
    return notation.named("ALERTS", labels)
