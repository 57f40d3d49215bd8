"""Alerts: on the speed at which error budgets are spent, and the operational ones.

Knows labels, annotations and the mask of maintenance. Conditions and thresholds
stand in the catalogue.
"""

import re
from collections.abc import Iterator
from functools import reduce

from natobs.catalogue import alerts as catalogue
from natobs.catalogue import naming
from natobs.catalogue.alerting import Alert, Level, Unit
from natobs.catalogue.naming import ERROR_RATIO, MINUTE, WINDOWS, Action
from natobs.catalogue.objectives import LEAST_FAILURES, Objective, Tier
from natobs.catalogue.promql import Query, Scope, highest, over, series
from natobs.catalogue.values import MAINTENANCE, QUICK
from natobs.generate.rules.model import Alerting, Group
from natobs.generate.settings import Plan

_SURELY = LEAST_FAILURES - 0.5
"""Counts are extrapolated, and three may read 2.9."""
BURN_HOLD = {"1h": 3 * MINUTE, "6h": 5 * MINUTE, "1d": 15 * MINUTE, "3d": 30 * MINUTE}
"""By long window, in seconds. Longer than alerts that name a cause take, so that these are first and silence it."""
_BURN_KEEP = 5 * MINUTE
_FORMATS: dict[Unit, str] = {
    "ratio": "{{ $value | humanizePercentage }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "per_second": '{{ $value | printf "%.1f" }}',
    "count": '{{ $value | printf "%.0f" }}',
    "state": "",
}
_PLACE = re.compile(r"\{(\w+)\}")


def groups(plan: Plan) -> Iterator[Group]:
    """All alerts, those of one subject in a group."""
    rules = {alert.name: tuple(_rules(alert, plan)) for alert in plan.alerts}
    for subject, rows in catalogue.SUBJECTS.items():
        yield Group(
            f"natobs-{subject}", QUICK, tuple(rule for row in rows if row.name in rules for rule in rules[row.name])
        )
    yield Group("natobs-burn", MINUTE, tuple(rule for _, rule in burning(plan)))


def burning(plan: Plan) -> list[tuple[Objective, Alerting]]:
    """The alerts on burn rates, and of which objective each is."""
    return [
        (one, _burning(one, action, plan))
        for one in plan.objectives
        for action in dict.fromkeys(tier.action for tier in one.tiers())
    ]


def _rules(alert: Alert, plan: Plan) -> Iterator[Alerting]:
    for level in alert.levels:
        condition = alert.condition(level)
        if alert.masked:
            on = Scope.NAT if alert.scope is Scope.SUBNET else alert.scope
            condition = condition.unless(MAINTENANCE.series, on)
        yield Alerting(
            alert.name,
            condition,
            level.hold,
            alert.keep,
            _labels(level, sli=alert.sli, fault=alert.fault),
            {
                "summary": alert.summary,
                "description": _describe(alert.description, alert.unit),
                **_links(alert.name, alert.sli, alert.scope, plan),
            },
        )


def _labels(level: Level | Tier, **more: str) -> dict[str, str]:
    given = {key: value for key, value in more.items() if value}
    return {naming.SEVERITY: level.severity.value, naming.ACTION: level.action.value, **given}


def _describe(text: str, unit: Unit) -> str:
    """Place-holders as templates of Prometheus."""
    return _PLACE.sub(lambda match: _FORMATS[unit] if match[1] == "value" else f"{{{{ $labels.{match[1]} }}}}", text)


def _links(name: str, sli: str, scope: Scope, plan: Plan) -> dict[str, str]:
    """Where to read on: the runbook, and a dashboard that shows this very NAT."""
    urls, labels = plan.fleet.urls, plan.rendering.labels(scope)
    variables = "&".join(f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in labels)
    board = naming.dashboard(sli)
    return {
        "runbook_url": f"{urls.runbooks.rstrip('/')}/{name}.md",
        "dashboard_url": f"{urls.grafana.rstrip('/')}/d/{board}?{variables}",
    }


def _burning(objective: Objective, action: Action, plan: Plan) -> Alerting:
    """The alert of all tiers of an objective that have the same consequence."""
    tiers = [tier for tier in objective.tiers() if tier.action is action]
    condition = reduce(Query.either, (_burns(objective, tier) for tier in tiers))
    slowest = min(tier.factor for tier in tiers)
    place = " of ".join(f"{{{label}}}" for label in (*objective.extra, *reversed(objective.scope.value)))
    return Alerting(
        objective.alert,
        condition.unless(MAINTENANCE.series, Scope.NAT),
        min(BURN_HOLD[tier.long] for tier in tiers),
        _BURN_KEEP,
        _labels(tiers[0], **{naming.SLI: objective.sli}),
        {
            "summary": f"{objective.title}: the error budget of 30 days is spent at least {slowest:g} times as fast as "
            "it lasts.",
            "description": _describe(
                f"{{value}} were bad for {place}; the objective is that {objective.target * 100:.12g} % of "
                f"{objective.good}.",
                "ratio",
            ),
            **_links(objective.alert, objective.sli, objective.scope, plan),
        },
    )


def _burns(objective: Objective, tier: Tier) -> Query:
    """Whether the budget is spent at the speed of a tier: lately, still, by many events, unexplained."""
    limit = float(f"{tier.factor * objective.budget:.9g}")
    on = (objective.scope.mark, *objective.extra)
    # Without the window's label, two tiers that burn are one alert.
    ratio = highest(
        objective.scope, series(ERROR_RATIO[tier.long], sloth_id=objective.id), *objective.extra, *naming.SLO_LABELS
    )
    short = series(ERROR_RATIO[tier.short], sloth_id=objective.id) > limit
    burns = (ratio > limit).both(short, on).both(_enough(objective, tier), on)
    if tier.action is Action.FREEZE:  # for machines, which are to stop whatever the cause
        return burns
    # When what an alert has named is mended, that alert ends, and the short window remembers the failures for longer.
    what = {naming.ACTION: tier.action.value} if tier.action is Action.PAGE else {}
    explained = series(naming.EXPLAINED, sloth_id=objective.id, **what)
    return burns.unless(over("max_over_time", explained, WINDOWS[tier.short] + _BURN_KEEP), on)


def _enough(objective: Objective, tier: Tier) -> Query:
    """At least so many bad events that no single lost probe pages."""
    if tier.long in naming.BAD_SUM:
        return series(naming.BAD_SUM[tier.long], sloth_id=objective.id) > _SURELY
    # The steps of an hour lag five minutes behind; a burst shows in the counts at once.
    counts, steps = (series(recorded, sloth_id=objective.id) for recorded in (naming.BAD, naming.BAD_STEP))
    lately = over("max_over_time", counts, WINDOWS[tier.long]) > _SURELY
    return lately.either(over("sum_over_time", steps, WINDOWS[tier.long]) > _SURELY)
