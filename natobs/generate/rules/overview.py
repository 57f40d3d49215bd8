"""Recording rules of what dashboards show of a whole fleet: strain, and the worst of each cluster.

A thousand NATs have ten thousand error budgets; a curve of the worst of them
would read millions of samples each time that somebody opens a dashboard. Knows
which alert's page is the limit of which value.
"""

from collections.abc import Iterator, Mapping

from natobs.catalogue import alerts, naming
from natobs.catalogue.idioms import pooled
from natobs.catalogue.promql import Query, Scope, highest, lowest, series
from natobs.catalogue.values import ADDED, BUSY, LOAD, NAT_FAILING, SATURATION, USAGE, Value
from natobs.generate.rules.model import Recording
from natobs.generate.settings import Plan

LIMITED: Mapping[str, tuple[Value, str]] = {
    "cpu": (BUSY, "NatCpuUsage"),
    "table": (USAGE, "NatConntrackUsage"),
    "ports": (SATURATION, "NatPortSaturation"),
    "links": (LOAD, "NatThroughputNearLimit"),
    "latency": (ADDED, "NatAddedLatency"),
    "probes": (NAT_FAILING, "NatProbeFailing"),
}
"""Values, and the alert whose page is the limit of each."""
_BUDGET = (*naming.SLO_LABELS, naming.SLI)


def limits(plan: Plan) -> dict[str, float]:
    """The threshold at which each value pages; that of the catalogue where the fleet has switched its alert off."""
    current = {alert.name: alert for alert in (*alerts.ALL, *plan.alerts)}
    return {name: current[alert].levels[-1].threshold for name, (_, alert) in LIMITED.items()}


def strain(plan: Plan) -> Recording:
    """How close a NAT is to a page: its worst value as a share of the threshold."""
    shares = {name: LIMITED[name][0].series / limit for name, limit in limits(plan).items()}
    return Recording(naming.STRAIN.name, pooled(Scope.NAT, "max", **shares))


def worst() -> Iterator[Recording]:
    """Of each cluster and objective: the fastest burn rates, and the least that is left of a budget."""
    for window, recorded in naming.WORST_BURN.items():
        yield Recording(recorded.name, burn(highest(Scope.CLUSTER, series(naming.ERROR_RATIO[window]), *_BUDGET)))
    yield Recording(naming.LEAST_BUDGET.name, lowest(Scope.CLUSTER, series(naming.BUDGET_REMAINING), *_BUDGET))


def burn(ratio: Query) -> Query:
    """How many times as fast as it lasts the budget of a ratio's objective is spent."""
    return ratio.by_one("/", series(naming.ERROR_BUDGET), naming.SLO_LABELS)
