"""Tests of the alerts on burn rates: each tier of each objective at its factor, its windows and its least of failures.

Feeds the recorded series that the alerts read; that these are right is proven in
:mod:`natobs.generate.proofs.budgets`. What must fire is computed from the tiers
in Python; no expression is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from natobs.catalogue import naming
from natobs.catalogue.metrics import agent, operations
from natobs.catalogue.naming import ERROR_RATIO, HOUR, MINUTE, WINDOWS
from natobs.catalogue.objectives import LEAST_FAILURES, Objective, Tier
from natobs.catalogue.promql import Recorded, Rendering, Scope
from natobs.generate.proofs import expect, notation
from natobs.generate.proofs.cases import FAR, Place
from natobs.generate.proofs.firing import fires, turns
from natobs.generate.rules.model import Alerting
from natobs.generate.rules.recording import identity

_ABOVE, _FAR_ABOVE = 1.02, 10
_ENOUGH, _TOO_FEW = LEAST_FAILURES - 0.4, LEAST_FAILURES - 0.5
"""Bad events; half an event less than the least is still taken for it."""
_LASTS, _TAIL = 20 * MINUTE, 7 * MINUTE
STEPS: Mapping[str, int] = {"1h": MINUTE, "6h": 5 * MINUTE, "1d": 5 * MINUTE, "3d": HOUR}
"""Between two samples, where the whole of a tier's long window passes by."""
_COUNTS: Mapping[str, tuple[Recorded, ...]] = {
    "1h": (naming.BAD, naming.BAD_STEP),
    "6h": (naming.BAD_STEP,),
    "1d": (naming.BAD_STEP,),
    "3d": (naming.BAD_HOUR,),
}
"""Where the bad events of a tier may be read."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One budget.

    Args:
        place: whose.
        ratios: recorded share of bad events by window, the long one first.
        failures: where bad events were counted, and how many: all of them at the second sample.
        extra: labels of the objective beyond its scope.
        maintained: whether maintenance is declared: for the NAT, or for the whole cluster.
        foreign: which part is another objective's: ``long`` or ``short`` ratio, ``failures``, or what ``explained``.
        explained: action of an alert that said at the second sample why events are bad; empty where none did.
    """

    place: Place
    ratios: Mapping[str, float]
    failures: tuple[Recorded, float]
    extra: Mapping[str, str] = field(default_factory=dict)
    maintained: str = ""
    foreign: str = ""
    explained: str = ""


def group(objective: Objective, rules: Mapping[str, Alerting], rendering: Rendering) -> dict[str, object]:
    """The test of all alerts of one objective at their thresholds.

    Args:
        objective: whose budget.
        rules: its alerts by action.
        rendering: as of the rules.
    """
    tried = list(_cases(objective))
    samples = (_LASTS + _TAIL) // MINUTE + 1
    return _test(objective, tried, rules, rendering, _Span(MINUTE, _LASTS // MINUTE, samples))


def windows(
    tier: Tier, objectives: Sequence[Objective], rules: Mapping[str, Mapping[str, Alerting]], rendering: Rendering
) -> dict[str, object] | None:
    """The test that bad events count for as long as the long window of a tier, of all objectives at once."""
    step = STEPS[tier.long]
    lasts = WINDOWS[tier.long] + 2 * step
    span = _Span(step, (lasts + 10 * MINUTE) // step + 1, (lasts + 20 * MINUTE) // step + 2)
    made: dict[str, object] = {}
    for objective in (one for one in objectives if tier in one.tiers()):
        tried = [_case(objective, tier, 21 + index, counts) for index, counts in enumerate(_COUNTS[tier.long])]
        tried += [replace(tried[0], place=Place(11, 31, 41), explained=tier.action.value)]
        part = _test(objective, tried, rules[objective.id], rendering, span)
        made = {key: [*made[key], *part[key]] if isinstance(made.get(key), list) else part[key] for key in part}  # type: ignore[misc]  # lists, all of them
    return made | {"name": f"the window of {tier.factor:g} times"} if made else None


@dataclass(frozen=True, slots=True)
class _Span:
    """The evaluations of a test: how far apart, how many with high ratios, and how many in all.

    Samples are half as far apart: bad events are counted between the first two evaluations, where no rule copies them.
    """

    step: int
    burning: int
    samples: int


def _case(objective: Objective, tier: Tier, nat: int, counts: Recorded, **more: float | str) -> _Case:
    limit = _limit(objective, tier)
    long, short = (float(more.get(window, _ABOVE * limit)) for window in ("long", "short"))
    failures = (counts, float(more.get("failures", _ENOUGH)))
    return _Case(Place(11, nat, nat + 10), {tier.long: long, tier.short: short}, failures, _extra(objective))


def _limit(objective: Objective, tier: Tier) -> float:
    return float(f"{tier.factor * objective.budget:.9g}")


def _extra(objective: Objective, port: int = 443) -> dict[str, str]:
    return dict.fromkeys(objective.extra, f"api.example:{port}")


def _cases(objective: Objective) -> Iterator[_Case]:
    for number, tier in enumerate(objective.tiers()):
        limit, (counts, *others) = _limit(objective, tier), _COUNTS[tier.long]
        burning = _case(objective, tier, 21 + number, counts)
        yield burning
        yield from (_case(objective, tier, 31 + number, other) for other in others)
        yield from (_case(objective, tier, 36 + number, other, failures=_TOO_FEW) for other in others)
        yield _case(objective, tier, 41 + number, counts, long=limit, short=_FAR_ABOVE * limit)
        unlike = (
            _case(objective, tier, 51 + number, counts, long=_FAR_ABOVE * limit, short=limit),
            _case(objective, tier, 61 + number, counts, failures=_TOO_FEW),
            *(replace(burning, explained=action) for action in ("page", "ticket")),
        )
        for index, case in enumerate(unlike):
            yield from _alike(objective, case, burning, len(unlike) * number + index)
        for index, part in enumerate(("long", "short", "failures")):
            yield replace(burning, place=Place(11, 101 + 3 * number + index, 31), foreign=part)
        for other in others:
            lost = _case(objective, tier, 31 + number, other)
            yield replace(lost, place=Place(11, 121 + number, 31), foreign="failures")
        strange = replace(burning, place=Place(11, 301 + number, 31), explained=tier.action.value)
        yield replace(strange, foreign="explained")
        for maintained, place in (("nat", Place(11, 71 + number, 81)), ("cluster", Place(12, 21 + number, 31))):
            yield replace(burning, place=place, maintained=maintained)


def _alike(objective: Objective, case: _Case, burning: _Case, number: int) -> Iterator[_Case]:
    """The same in places that are like that of a budget that burns but for one label."""
    there = burning.place
    yield replace(case, place=there._replace(nat=201 + number))
    yield replace(case, place=there._replace(cluster=13 + number))
    if objective.scope is Scope.SUBNET:
        yield replace(case, place=there._replace(subnet=91 + number))
    if objective.extra:
        yield replace(case, place=there, extra=_extra(objective, 8000 + number))


def _test(
    objective: Objective, tried: list[_Case], rules: Mapping[str, Alerting], rendering: Rendering, span: _Span
) -> dict[str, object]:
    states = [
        (case, rule, _firing(objective, case, rule, action, span))
        for case in tried
        if not case.maintained
        for action, rule in rules.items()
    ]
    places = sorted({*set().union(*(turns(firing) for _, _, firing in states)), span.samples - 1})
    expected = {
        place: [(case, rule, _labels(objective, case, rule)) for case, rule, firing in states if firing[place]]
        for place in places
    }
    fullest = max(places, key=lambda place: (len(expected[place]), -place))
    at = {place: rendering.duration(place * span.step) for place in places}
    return {
        "name": objective.id,
        "interval": rendering.duration(span.step / 2),
        "input_series": [
            {"series": series, "values": values} for series, values in _series(objective, tried, span, rendering)
        ],
        "alert_rule_test": [
            expect.told(
                objective.alert,
                at[fullest],
                [(rule, labels, next(iter(case.ratios.values()))) for case, rule, labels in expected[fullest]],
                "ratio",
            )
        ],
        "promql_expr_test": [
            expect.states(
                objective.alert, at[place], [labels for _, _, labels in expected[place]], sloth_id=objective.id
            )
            for place in places
        ],
    }


def _firing(objective: Objective, case: _Case, rule: Alerting, action: str, span: _Span) -> list[bool]:
    """At which samples an alert fires: while ratios are high, failures not too long ago, and nobody says why."""
    active = [False] * span.samples
    counts, failures = case.failures
    for tier in (one for one in objective.tiers() if one.action.value == action):
        limit = _limit(objective, tier)
        burns = all(case.ratios.get(window, 0) > limit for window in (tier.long, tier.short))
        if burns and counts in _COUNTS[tier.long] and failures > _TOO_FEW and case.foreign in {"", "explained"}:
            last = min(WINDOWS[tier.long] // span.step, span.burning - 1)
            first = 1 + (_explained(tier, case) + span.step // 2) // span.step
            active = [was or first <= index <= last for index, was in enumerate(active)]
    return fires(active, span.step, rule.hold, rule.keep)


def _explained(tier: Tier, case: _Case) -> int:
    """For how many seconds a tier is silent because an alert has said why events are bad."""
    says = {"page": {"page"}, "ticket": {"page", "ticket"}}.get(tier.action.value, set())
    return WINDOWS[tier.short] + 5 * MINUTE if case.explained in says and not case.foreign else 0


def _labels(objective: Objective, case: _Case, rule: Alerting) -> dict[str, str]:
    return {**case.place.shown(objective.scope), **case.extra, **identity(objective), **rule.labels}


def _series(objective: Objective, tried: list[_Case], span: _Span, rendering: Rendering) -> Iterator[tuple[str, str]]:
    for case in tried:
        here = {**case.place.shown(objective.scope), **case.extra}
        own = {**here, **identity(objective), naming.SLI: objective.sli}
        others = {**own, "sloth_id": "nat-other", "sloth_slo": "other"}
        for part, (window, ratio) in zip(("long", "short"), case.ratios.items(), strict=True):
            of = others if case.foreign == part else own
            values = f"{ratio!r}x{2 * span.burning - 2} stale"
            yield notation.named(ERROR_RATIO[window].name, {**of, "sloth_window": window}), values
        counts, failures = case.failures
        of = others if case.foreign == "failures" else own
        yield notation.named(counts.name, of), f"_ {failures!r} stale"
        if case.explained:
            of = others if case.foreign == "explained" else own
            named = {**of, naming.ACTION: case.explained}
            yield notation.named(naming.EXPLAINED.name, named), "_ 1 stale"
        if case.maintained:
            agents = case.place.labels(prober=False)
            metric = operations.MAINTENANCE_UNTIL if case.maintained == "nat" else operations.CLUSTER_MAINTENANCE_UNTIL
            yield notation.named(agent.BUILD.name, agents), f"1x{2 * span.samples}"
            yield notation.named(metric.name, agents), f"{FAR / rendering.scale!r}x{2 * span.samples}"
