"""Names that recording rules, alerts, dashboards and commands share: recorded series, labels, severities, actions.

Knows names and what they stand for. Knows no expression: those are in
:mod:`natobs.catalogue.objectives` and :mod:`natobs.catalogue.alerts`.

The series of SLOs are named as Sloth names them, so that its dashboards work:
https://github.com/slok/sloth, package ``pkg/common/conventions``.
"""

from enum import Enum

from natobs.catalogue.promql import Origin, Recorded

MINUTE, HOUR, DAY = 60, 3600, 86_400
"""In seconds."""


class Severity(Enum):
    """How bad it is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Action(Enum):
    """What becomes of a notification: somebody is woken, a ticket is written, risky changes stop, or nothing."""

    PAGE = "page"
    TICKET = "ticket"
    FREEZE = "freeze"
    NONE = "none"


SEVERITY, ACTION = "severity", "natobs_action"
"""Labels of alerts."""
EXECUTIVE, ON_CALL, DEBUG, FLEET = "natobs-executive", "natobs-on-call", "natobs-debug", "natobs-fleet"
"""``uid`` of the dashboards."""
SLI, FAULT = "sli", "fault"
"""Labels of alerts: the indicator that is concerned, and the fault that is named."""

SLO_LABELS = ("sloth_id", "sloth_service", "sloth_slo")
"""Which objective a recorded series is about: its id, the service, and the objective's name within the service."""
SERVICE = "nat"
"""The service of every objective of natobs."""


def dashboard(sli: str) -> str:
    """``uid`` of the dashboard that shows an indicator best, where whoever follows up an alert on it looks first."""
    return DEBUG if sli in {"M1", "M9"} else ON_CALL


_OF_SLO = (*SLO_LABELS, SLI, "target", "destination")

BAD = Recorded("slo:bad:increase5m", _OF_SLO)
"""Bad events of the last five minutes. Overlaps with its neighbours in time: never a number of events when summed."""
TOTAL = Recorded("slo:total:increase5m", _OF_SLO)
"""All events of the last five minutes; overlaps too."""
BAD_STEP = Recorded("slo:bad:step5m", _OF_SLO)
"""The same, taken every five minutes: sums are numbers of events."""
TOTAL_STEP = Recorded("slo:total:step5m", _OF_SLO)
"""The same of all events."""
BAD_HOUR = Recorded("slo:bad:step1h", _OF_SLO)
"""Bad events of an hour, taken every hour: what windows of days are made of."""
TOTAL_HOUR = Recorded("slo:total:step1h", _OF_SLO)
"""The same of all events."""

WINDOWS: dict[str, int] = {
    "5m": 5 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "6h": 6 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "30d": 30 * DAY,
}
"""Windows of the recorded error ratios, by their names, in seconds."""
ERROR_RATIO: dict[str, Recorded] = {name: Recorded(f"slo:sli_error:ratio_rate{name}", _OF_SLO) for name in WINDOWS}
"""Share of bad events by window."""

BAD_SUM: dict[str, Recorded] = {name: Recorded(f"slo:bad:sum{name}", _OF_SLO) for name in ("6h", "1d", "3d")}
"""Bad events by window: summed up once, for the ratio and for the alerts that ask for a few of them."""

EXPLAINED = Recorded("slo:explained:active", (*_OF_SLO, ACTION))
"""1 while an alert of an action fires that names why events are bad; a burning budget is then no news of its own."""

OBJECTIVE = Recorded("slo:objective:ratio", SLO_LABELS, origin=Origin.CONSTANT)
ERROR_BUDGET = Recorded("slo:error_budget:ratio", SLO_LABELS, origin=Origin.CONSTANT)
PERIOD_DAYS = Recorded("slo:time_period:days", SLO_LABELS, origin=Origin.CONSTANT)
CURRENT_BURN = Recorded("slo:current_burn_rate:ratio", _OF_SLO)
PERIOD_BURN = Recorded("slo:period_burn_rate:ratio", _OF_SLO)
BUDGET_REMAINING = Recorded("slo:period_error_budget_remaining:ratio", _OF_SLO)
SLO_INFO = Recorded("natobs_slo_info", (*SLO_LABELS, SLI, "objective", "title"), origin=Origin.CONSTANT)

MAINTENANCE = Recorded("nat:maintenance:active")
"""1 while maintenance of a NAT is declared, and for a while after its end."""
GRACE = 10 * MINUTE
"""For so long after maintenance alerts are still masked: their windows reach back into it."""
WORST_BURN: dict[str, Recorded] = {
    window: Recorded(f"cluster:slo_burn_rate:max{window}", (*SLO_LABELS, SLI)) for window in ("1h", "6h", "1d", "3d")
}
"""The fastest burn rate of a cluster, by the long windows of the tiers."""
LEAST_BUDGET = Recorded("cluster:slo_error_budget_remaining:min", (*SLO_LABELS, SLI))
"""What is left of the scarcest budget of a cluster."""
STRAIN = Recorded("nat:strain:ratio")
"""The worst value of a NAT as a share of the threshold that pages."""

UP = Recorded("up", origin=Origin.TARGET)
"""Prometheus' own: whether the last scrape of a target worked."""
OLDEST_SAMPLE = Recorded("prometheus_tsdb_lowest_timestamp_seconds", origin=Origin.CONSTANT)
"""Prometheus' own: time stamp of the oldest sample that it has."""
FIRING = Recorded("ALERTS", ("alertname", "alertstate", SEVERITY, ACTION, SLI, FAULT))
"""Prometheus' own: 1 for each alert that is pending or firing."""
