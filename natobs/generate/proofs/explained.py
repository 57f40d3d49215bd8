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
    """Each alert fires somewhere, of each action that it has; beside it, places where it only looks as if."""
    series: dict[str, str] = {}
    found: dict[Action, list[str]] = {Action.PAGE: [], Action.TICKET: []}
    number = 100
    for alert in alerts:
        for action in (Action.PAGE, Action.TICKET):
            levels = [level for level in alert.levels if level.action is action]
            if not levels:
                continue
            number += 10
            here = Place(number, number, number)
            for place in _alike(here, alert.scope):
                series[notation.named(naming.TOTAL.name, _budget(objective, place))] = _SOME if number % 20 else _NONE
            other = {**_budget(objective, here), naming.SLO_LABELS[0]: "nat-other"}
            series[notation.named(naming.TOTAL.name, other)] = _SOME
            series[_fires(alert.name, here, alert.scope, action)] = "1x5"
            pending = here._replace(cluster=number + 5)
            series[_fires(alert.name, pending, alert.scope, action, "pending")] = "1x5"
            series[notation.named(naming.TOTAL.name, _budget(objective, pending))] = _SOME
            for explains in _explains(objective, alert, action):
                found[explains] += [notation.named(naming.EXPLAINED.name, _named(objective, here, explains))]
    stranger = Place(number + 10, 1, 1)
    series[_fires(_STRANGER, stranger, Scope.CLUSTER, Action.PAGE)] = "1x5"
    series[notation.named(naming.TOTAL.name, _budget(objective, stranger))] = _SOME
    asked = notation.named(naming.EXPLAINED.name, {naming.SLO_LABELS[0]: objective.id})
    expected = {one: 1.0 for some in found.values() for one in some}
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


def _named(objective: Objective, place: Place, action: Action) -> dict[str, str]:
    return {**_budget(objective, place), naming.ACTION: action.value}


def _fires(alert: str, place: Place, scope: Scope, action: Action, state: str = "firing") -> str:
    labels = {"alertname": alert, "alertstate": state, **place.shown(scope), naming.ACTION: action.value}
    return notation.named("ALERTS", labels)
