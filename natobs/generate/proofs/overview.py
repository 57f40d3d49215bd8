"""Tests of what is recorded for dashboards of a whole fleet: strain, and the worst budgets of each cluster.

Feeds recorded values and error ratios; that these are right is proven beside.
"""

from collections.abc import Iterator

from natobs.catalogue import naming
from natobs.catalogue.naming import ERROR_RATIO, MINUTE
from natobs.catalogue.promql import Recorded, Scope
from natobs.generate.proofs import expect, notation
from natobs.generate.proofs.cases import Place
from natobs.generate.proofs.recorded import Test, test
from natobs.generate.rules.overview import LIMITED, limits
from natobs.generate.rules.recording import identity
from natobs.generate.settings import Plan

_AT = 2 * MINUTE
_CALM, _TENSE = 0.5, 2.0
"""Shares of a limit; powers of two, so that quotients are exact."""


def tests(plan: Plan) -> Iterator[tuple[int, Test]]:
    """Every test, and the seconds between its evaluations."""
    yield MINUTE, _strain(plan)
    yield MINUTE, _worst(plan)


def _strain(plan: Plan) -> Test:
    """Each value at twice its limit on a NAT of its own, at half of it beside that, and all of them on one NAT."""
    series: dict[str, str] = {}
    found: dict[str, float] = {}
    both = Place(11, 51, 61)
    for number, (name, limit) in enumerate(limits(plan).items()):
        value = LIMITED[name][0]
        shares = {Place(11, 21 + number, 31): _TENSE, Place(12, 21 + number, 31): _CALM, both: _TENSE**number}
        for place, share in shares.items():
            series[notation.named(value.recorded.name, place.shown(value.scope))] = f"{share * limit!r}x5"
            strained = notation.named(naming.STRAIN.name, place.shown(Scope.NAT))
            found[strained] = max(share, found.get(strained, 0.0))
    expected = [expect.samples(naming.STRAIN.name, plan.rendering.duration(_AT), found)]
    return test("strain", MINUTE, series.items(), expected, plan.rendering)


def _worst(plan: Plan) -> Test:
    """Two budgets of each objective in a cluster, a third in another, and one that somebody else records."""
    ratios: dict[Recorded, tuple[Recorded, str]] = {
        recorded: (ERROR_RATIO[window], window) for window, recorded in naming.WORST_BURN.items()
    } | {naming.LEAST_BUDGET: (ERROR_RATIO["30d"], "30d")}
    series: dict[str, str] = {}
    found: dict[Recorded, dict[str, float]] = {recorded: {} for recorded in ratios}
    shares = {Place(11, 21, 31): _CALM, Place(11, 22, 32): _TENSE, Place(12, 21, 31): 2 * _TENSE}
    for objective in plan.objectives:
        labels = identity(objective) | {naming.SLI: objective.sli}
        for label in naming.SLO_LABELS:
            foreign = {**identity(objective), label: "other"}
            series[notation.named(naming.ERROR_BUDGET.name, foreign)] = "0.5x5"
        for place, share in shares.items():
            for recorded, (ratio, window) in ratios.items():
                here = {**place.shown(objective.scope), **labels, "sloth_window": window}
                series[notation.named(ratio.name, here)] = f"{share * objective.budget!r}x5"
                worst = notation.named(recorded.name, {**place.shown(Scope.CLUSTER), **labels})
                found[recorded][worst] = max(share, found[recorded].get(worst, 0.0))
    for worst, share in found[naming.LEAST_BUDGET].items():
        found[naming.LEAST_BUDGET][worst] = 1 - share
    at = plan.rendering.duration(_AT)
    expected = [expect.samples(recorded.name, at, values) for recorded, values in found.items()]
    return test("the worst of each cluster", MINUTE, series.items(), expected, plan.rendering)
