"""Recording rules: the shared values, and the counts and ratios of the objectives.

Knows which window is made of which counts. Five-minute counts are recorded every
minute and overlap; they make the windows up to an hour. Every five minutes one
of them is kept as a step; steps do not overlap, are numbers of events, and make
the windows of hours. Hourly sums of steps make the windows of days: at a
minute's resolution, a thousand NATs would cost minutes of CPU a cycle.
"""

from collections.abc import Iterator
from functools import reduce

from natobs.catalogue import naming
from natobs.catalogue.alerting import Alert
from natobs.catalogue.naming import ERROR_RATIO, HOUR, MINUTE, WINDOWS, Action
from natobs.catalogue.objectives import PERIOD_DAYS, Objective
from natobs.catalogue.promql import Query, Recorded, Scope, call, over, series
from natobs.catalogue.values import GROUPS, MAINTENANCE, QUICK, STEP
from natobs.generate.rules.model import Group, Recording
from natobs.generate.rules.overview import burn, strain, worst
from natobs.generate.settings import Plan

_WINDOWS = STEP // 2
"""How often long windows are summed up. Prometheus looks back five minutes: of a series that is written every five, an
alert would see nothing whenever the next value is a moment late, and begin to wait anew."""

SLICE_BAD = Recorded("slo:slice_bad:bool", naming.BAD.labels)
SLICE_ALL = Recorded("slo:slice_all:bool", naming.BAD.labels)
_JUST_UNDER = 1
"""Prometheus 2 counts both ends of a window: a whole hour could hold thirteen steps, five minutes six minutes."""
_BY_COUNTS: dict[str, tuple[Recorded, Recorded]] = {
    **dict.fromkeys(("5m", "30m", "1h"), (naming.BAD, naming.TOTAL)),
    **dict.fromkeys(("2h", "6h", "1d"), (naming.BAD_STEP, naming.TOTAL_STEP)),
    **dict.fromkeys(("3d", "30d"), (naming.BAD_HOUR, naming.TOTAL_HOUR)),
}


def groups(plan: Plan) -> Iterator[Group]:
    """All recording rules."""
    current = {value.recorded: value for value in plan.values}
    for name, (interval, rows) in GROUPS.items():
        chosen = (current[row.recorded] for row in rows)
        yield Group(name, interval, tuple(Recording(value.recorded.name, value.query) for value in chosen))
    yield Group("natobs-strain", QUICK, (strain(plan),))
    yield Group("natobs-slo-meta", MINUTE, tuple(_constants(plan.objectives)))
    yield Group("natobs-slo-counts", MINUTE, (*_counts(plan.objectives), *_ratios("5m"), _current()))
    yield Group("natobs-slo-recent", MINUTE, tuple(_ratios("30m", "1h")))
    yield Group("natobs-slo-steps", STEP, tuple(_steps()))
    yield Group("natobs-slo-windows", _WINDOWS, tuple(_ratios("2h", "6h")))
    yield Group("natobs-slo-day", _WINDOWS, tuple(_ratios("1d")))
    yield Group("natobs-slo-days", _WINDOWS, tuple(_ratios("3d")))
    yield Group("natobs-slo-month", _WINDOWS, tuple(_ratios("30d")))
    yield Group("natobs-slo-budget", _WINDOWS, tuple(_period()))
    yield Group("natobs-slo-hours", HOUR, tuple(_hours()))
    yield Group("natobs-slo-worst", _WINDOWS, tuple(worst()))
    yield Group("natobs-slo-explained", QUICK, tuple(_explanations(plan)))


def identity(objective: Objective) -> dict[str, str]:
    """The labels of an objective's recorded series."""
    names = (objective.id, naming.SERVICE, objective.name)
    return dict(zip(naming.SLO_LABELS, names, strict=True))


def _constants(objectives: tuple[Objective, ...]) -> Iterator[Recording]:
    for objective in objectives:
        labels = identity(objective)
        for recorded, value in (
            (naming.OBJECTIVE, objective.target),
            (naming.ERROR_BUDGET, objective.budget),
            (naming.PERIOD_DAYS, PERIOD_DAYS),
        ):
            yield Recording(recorded.name, call("vector", value), labels)
        about = {naming.SLI: objective.sli, "objective": f"{objective.target:.12g}", "title": objective.title}
        yield Recording(naming.SLO_INFO.name, call("vector", 1), labels | about)


def _counts(objectives: tuple[Objective, ...]) -> Iterator[Recording]:
    for objective in objectives:
        labels = identity(objective) | {naming.SLI: objective.sli}
        bad, every = (query.unless(MAINTENANCE.series, Scope.NAT) for query in (objective.bad, objective.total))
        bad_name, all_name = (SLICE_BAD, SLICE_ALL) if objective.slices else (naming.BAD, naming.TOTAL)
        yield Recording(bad_name.name, bad, labels)
        yield Recording(all_name.name, every, labels)
    for recorded, slices in ((naming.BAD, SLICE_BAD), (naming.TOTAL, SLICE_ALL)):
        yield Recording(recorded.name, over("sum_over_time", series(slices), STEP - _JUST_UNDER))


def _steps() -> Iterator[Recording]:
    yield Recording(naming.BAD_STEP.name, series(naming.BAD))
    yield Recording(naming.TOTAL_STEP.name, series(naming.TOTAL))


def _hours() -> Iterator[Recording]:
    for recorded, step in ((naming.BAD_HOUR, naming.BAD_STEP), (naming.TOTAL_HOUR, naming.TOTAL_STEP)):
        yield Recording(recorded.name, over("sum_over_time", series(step), HOUR - _JUST_UNDER))


def _ratios(*windows: str) -> Iterator[Recording]:
    for window in windows:
        bad, every = (series(recorded) for recorded in _BY_COUNTS[window])
        if window != "5m":
            bad, every = (over("sum_over_time", counts, WINDOWS[window]) for counts in (bad, every))
        if window in naming.BAD_SUM:
            yield Recording(naming.BAD_SUM[window].name, bad)
            bad = series(naming.BAD_SUM[window])
        yield Recording(ERROR_RATIO[window].name, bad / (every > 0), {"sloth_window": window})


def _current() -> Recording:
    return Recording(naming.CURRENT_BURN.name, burn(series(ERROR_RATIO["5m"])))


def _period() -> Iterator[Recording]:
    yield Recording(naming.PERIOD_BURN.name, burn(series(ERROR_RATIO["30d"])))
    yield Recording(naming.BUDGET_REMAINING.name, Query("1") - series(naming.PERIOD_BURN))


def _explanations(plan: Plan) -> Iterator[Recording]:
    """Whether bad events are explained by an alert that fires.

    As in Alertmanager, what wakes somebody explains pages and tickets, and a ticket explains tickets alone, unless the
    catalogue says that it explains pages too.
    """
    for objective in plan.objectives:
        causes = [alert for alert in plan.alerts if objective.alert in alert.silences]
        for action in (Action.PAGE, Action.TICKET):
            named = list(_named(objective, causes, action))
            if named:
                # Its events have the objective's labels already: this one tells rules of one name apart.
                labels = {naming.SLO_LABELS[0]: objective.id, naming.ACTION: action.value}
                yield Recording(naming.EXPLAINED.name, reduce(Query.either, named).is_so(">=", 0), labels)


def _named(objective: Objective, causes: list[Alert], action: Action) -> Iterator[Query]:
    """Events of the objective, while an alert of this action fires that names why they are bad."""
    events = series(naming.TOTAL, sloth_id=objective.id)
    for scope in Scope:
        here = [alert for alert in causes if alert.scope is scope]
        names = {alert.name for alert in here if any(level.action is action for level in alert.levels)}
        by_action = {action.value: names}
        if action is Action.PAGE:
            by_action[Action.TICKET.value] = {alert.name for alert in here if objective.alert in alert.explains}
        for value, some in by_action.items():
            if some:
                one_of = f"~{'|'.join(sorted(some))}"
                firing = series(naming.FIRING, alertname=one_of, alertstate="firing", natobs_action=value)
                yield events.both(firing, scope)
