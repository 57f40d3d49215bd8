"""Tests of operational alerts: a scenario, a row of the catalogue, and what must fire when.

Knows how cases become series and expectations. What an alert sees is computed
here once more, in Python; no expression is read.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from natobs.catalogue.alerting import Alert
from natobs.catalogue.promql import Rendering
from natobs.errors import CatalogueError
from natobs.generate.proofs import expect, notation
from natobs.generate.proofs.cases import Case, cases
from natobs.generate.proofs.firing import fires, holds, turns
from natobs.generate.rules.model import Alerting
from natobs.generate.scenarios.model import Clock, Scenario, Signal

_SPARE = 2
"""Steps more than it takes."""


class Expected(NamedTuple):
    """One severity in one case.

    Args:
        labels: of the alert, without its name.
        rule: what says so.
        firing: at which evaluations.
        value: at each evaluation: of the condition when it last held.
    """

    labels: Mapping[str, str]
    rule: Alerting
    firing: list[bool]
    value: list[float]


def clock(alert: Alert, scenario: Scenario, scale: float) -> Clock:
    """Time enough for everything to happen."""
    lead = math.ceil(scenario.reach / scenario.step + 1) * scenario.step
    longest = max(level.hold for level in alert.levels)
    lasts = scenario.lasts or lead + longest + _SPARE * scenario.step
    return Clock(scenario.step, lead, lasts, lead + alert.keep + _SPARE * scenario.step, scale)


def group(alert: Alert, scenario: Scenario, rules: Mapping[str, Alerting], rendering: Rendering) -> dict[str, object]:
    """The test of one alert.

    Args:
        alert: its row.
        scenario: how it comes about.
        rules: its rules, by severity.
        rendering: as of the rules.
    """
    time = clock(alert, scenario, rendering.scale)
    tried = cases(alert, scenario)
    expected = [one for case in tried for one in _expected(alert, scenario, case, rules, time)]
    for level in alert.levels:
        if not any(any(one.firing) for one in expected if one.rule is rules[level.severity.value]):
            raise CatalogueError(f"scenario of {alert.name}: {level.severity.value} never fires in it")
    places = sorted(set().union(*(turns(one.firing) for one in expected)) | {time.samples - 1})
    fullest = max(places, key=lambda place: (sum(one.firing[place] for one in expected), -place))
    return {
        "name": alert.name,
        "interval": rendering.duration(time.step),
        "input_series": list(_series(tried, time)),
        "alert_rule_test": [
            expect.told(
                alert.name,
                rendering.duration(fullest * time.step),
                [(one.rule, one.labels, one.value[fullest]) for one in expected if one.firing[fullest]],
                alert.unit,
            )
        ],
        "promql_expr_test": [
            expect.states(
                alert.name,
                rendering.duration(place * time.step),
                [one.labels for one in expected if one.firing[place]],
            )
            for place in places
        ],
    }


def _series(tried: list[Case], time: Clock) -> Iterator[dict[str, str]]:
    written: dict[str, str] = {}
    for case in tried:
        well, broken = (_named(case, signals) for signals in (case.well, case.broken))
        for series in dict.fromkeys((*well, *broken)):
            values = notation.samples(time, well.get(series), broken.get(series))
            if written.setdefault(series, values) != values:
                raise CatalogueError(f"{case.name}: {series} is there twice")
    for series, values in written.items():
        yield {"series": series, "values": values}


def _named(case: Case, signals: Sequence[Signal]) -> dict[str, Signal]:
    found = {}
    for signal in signals:
        own = case.numbered(signal.labels)
        here = case.place.labels(prober=signal.prober)
        found[notation.named(signal.source.name + signal.part, here | own)] = signal
    return found


def _expected(
    alert: Alert, scenario: Scenario, case: Case, rules: Mapping[str, Alerting], time: Clock
) -> Iterator[Expected]:
    if case.shape is None:
        return
    rest = scenario.rest
    fed = [case.value if time.begins <= index < time.ends else rest for index in range(time.samples)]
    values = case.shape(fed, time)
    for level in alert.levels:
        rule = rules[level.severity.value]
        active = holds(values, alert.compare, level.threshold)
        latest, shown = 0.0, []
        for value, now in zip(values, active, strict=True):
            latest = value if now and value is not None else latest
            shown.append(latest)
        labels = case.place.shown(alert.scope) | case.numbered(scenario.shows) | dict(rule.labels)
        yield Expected(labels, rule, fires(active, time.step, level.hold, alert.keep), shown)
