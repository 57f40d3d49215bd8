"""Panels of what alerts are about: an alert's own value, with its thresholds drawn.

Knows how a comparison becomes colours. Whoever comes from an alert finds its
curve here, computed as the alert computes it, over the alert's window.
"""

from collections.abc import Mapping

from natobs.catalogue import alerts as catalogue
from natobs.catalogue import naming
from natobs.catalogue.alerting import Alert, Unit
from natobs.catalogue.naming import Action, Severity
from natobs.catalogue.objectives import TIERS, Objective, Tier
from natobs.catalogue.promql import Query, highest, series
from natobs.generate.dashboards.layout import Row, Tile
from natobs.generate.dashboards.panels import BLUE, GREEN, ORANGE, RED, YELLOW, About, Level, Line, Maker
from natobs.generate.rules.overview import burn
from natobs.generate.settings import Plan

_COLORS = {Severity.CRITICAL: RED, Severity.WARNING: ORANGE, Severity.INFO: BLUE}
_UNITS: dict[Unit, str] = {
    "ratio": "percentunit",
    "seconds": "s",
    "per_second": "cps",
    "count": "short",
    "state": "short",
}
_WORDS = {Action.PAGE: "pages", Action.TICKET: "opens a ticket", Action.FREEZE: "halts changes", Action.NONE: "notes"}
TITLES = {
    "NatAccountingOutdated": "Accounting table is current",
    "NatAgentAbsent": "Agents that have vanished",
    "NatAgentDown": "Agent answers",
    "NatAllowanceExceeded": "Allowances of the cloud exceeded",
    "NatCarrierFlapping": "Carrier changes in 10 minutes",
    "NatCensusIncomplete": "Census is complete",
    "NatChainsTooLong": "New flows dropped: chain too long",
    "NatClusterFailing": "NATs of the cluster that fail",
    "NatCollectorFailing": "Collectors succeed",
    "NatConntrackFilling": "Translation table in an hour",
    "NatConntrackUsage": "Translation table usage",
    "NatDefaultRouteMissing": "Default route",
    "NatDestinationFailing": "Unanswered flows by destination",
    "NatDnsFailing": "Names not resolved",
    "NatFirewallDenies": "Denied packets in 5 minutes",
    "NatForwardingBroken": "Probes that leave the NAT",
    "NatFragmentation": "Packets too large in 5 minutes",
    "NatKernelTrouble": "Trouble in the kernel log",
    "NatLinkDown": "Interfaces with a carrier",
    "NatMaintenance": "Maintenance declared",
    "NatMemoryLow": "Memory available",
    "NatNicErrors": "Damaged packets",
    "NatNoReturnTraffic": "Probes answered from outside",
    "NatPacketDrops": "Packets dropped by interfaces",
    "NatPathMtuBlackHole": "Path MTU: black hole",
    "NatPathMtuReduced": "Path MTU: reduced",
    "NatPortsExhausted": "New flows dropped: no port",
    "NatProbeFailing": "Probes that fail",
    "NatProbeScheduleLate": "Lag of the probes' schedule",
    "NatProberDown": "Prober answers",
    "NatProbesSilent": "Attempts of probes in 5 minutes",
    "NatPublicAddressUnexpected": "Public address is a reserved one",
    "NatResets": "Resets for each answered connection",
    "NatRestarted": "Ten minutes since the start",
    "NatRetentionTooShort": "Part of 30 days that Prometheus keeps",
    "NatReturnBlocked": "Answers passed on to the private hosts",
    "NatRouteChanged": "Changes of default routes",
    "NatScalingFlapping": "Scaling events within an hour",
    "NatStateLost": "Packets and flows without their state",
    "NatSubnetRouteMissing": "Probes that fail and do not arrive",
    "NatTableEvicting": "Flows evicted",
    "NatTableFull": "New flows dropped: table full",
    "NatThroughputNearLimit": "Peaks against capacity",
    "NatTrafficStopped": "Packets forwarded",
    "NatTupleClashes": "New flows dropped: clashes",
}
"""What the value of an alert is, where the alert's name says what is wrong with it."""
_TIERS = {Action.PAGE: RED, Action.FREEZE: ORANGE, Action.TICKET: YELLOW}
_CAPITALS = {"cpu": "CPU", "nic": "NIC", "mtu": "MTU", "dns": "DNS"}
_JUST = 1e-6
"""Grafana colours from a threshold on; "above 0" begins a little above it."""
_HEADINGS = {
    "table": "Alerts: translation table and ports",
    "host": "Alerts: the machine",
    "links": "Alerts: interfaces and drops",
    "path": "Alerts: the way of packets",
    "changes": "Alerts: changes",
    "watching": "Alerts: the watching itself",
}


class Watched:
    """Makes the panels of a fleet's alerts, and knows which are still to be shown.

    Args:
        plan: with the alerts.
        make: of panels.
        board: uid of the dashboard.
    """

    def __init__(self, plan: Plan, make: Maker, board: str) -> None:
        self._plan, self._make = plan, make
        self._left = {alert.name: alert for alert in plan.alerts if naming.dashboard(alert.sli) == board}
        self.objectives = tuple(one for one in plan.objectives if naming.dashboard(one.sli) == board)
        """Those whose alerts lead to the dashboard."""

    def tiles(self, *names: str, size: tuple[int, int] = (8, 8)) -> tuple[Tile, ...]:
        """Panels of these alerts, without those that the fleet has switched off."""
        known = {alert.name: alert for alert in self._plan.alerts}
        found = tuple(self._tile(known[name], size) for name in names if name in known)
        for name in names:
            self._left.pop(name, None)
        return found

    def rest(self) -> tuple[Row, ...]:
        """Rows, to be opened by a reader, with all alerts of this dashboard that no panel was made of yet."""
        return tuple(
            Row(_HEADINGS[subject], self.tiles(*(one.name for one in rows if one.name in self._left)), collapsed=True)
            for subject, rows in catalogue.SUBJECTS.items()
        )

    def _tile(self, alert: Alert, size: tuple[int, int]) -> Tile:
        base, levels = colors(alert)
        about = About(
            TITLES.get(alert.name) or title(alert.name),
            f"{alert.summary} {alert.name} {_consequences(alert)}.",
            unit=_UNITS[alert.unit],
            shows=(alert.name, alert.sli),
            size=size,
            base=base,
            levels=levels,
            links=(("Runbook", f"{self._plan.fleet.urls.runbooks.rstrip('/')}/{alert.name}.md"),),
        )
        line = Line(alert.value, " ".join(f"{{{{{label}}}}}" for label in alert.labels))
        return self._make.states(about, line) if alert.unit == "state" else self._make.graph(about, line)


def title(name: str) -> str:
    """An alert's name as words: ``NatCpuUsage`` as "CPU usage"."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name.removeprefix("Nat")).split()
    first, *rest = (_CAPITALS.get(word, word) for word in words)
    return " ".join((first[0].upper() + first[1:], *rest))


def colors(alert: Alert) -> tuple[str, tuple[Level, ...]]:
    """Colour of the smallest values, and from which values on there are others."""
    shades = [(level.threshold, _COLORS[level.severity]) for level in alert.levels]
    if alert.compare in {">", ">=", "=="}:
        edge = _JUST if alert.compare == ">" else 0.0
        return GREEN, tuple((value or edge, color) for value, color in shades)
    edge = _JUST if alert.compare == "<=" else 0.0
    worst_first = shades[::-1]
    above = [*(color for _, color in worst_first[1:]), GREEN]
    return worst_first[0][1], tuple((value + edge, color) for (value, _), color in zip(worst_first, above, strict=True))


def _consequences(alert: Alert) -> str:
    """What an alert does at which value."""
    made = []
    for level in alert.levels:
        value = {"ratio": f"{level.threshold:.6g} ({level.threshold * 100:.6g} %)", "seconds": f"{level.threshold:g} s"}
        lasting = f" for {level.hold} s" if level.hold else ""
        text = value.get(alert.unit, f"{level.threshold:g}")
        made.append(f"{_WORDS[level.action]} at {alert.compare} {text}{lasting}")
    return ", ".join(made) + (", under a further condition that its runbook names" if alert.where is not None else "")


def burns(objectives: tuple[Objective, ...], make: Maker) -> tuple[Tile, ...]:
    """How fast the budgets of objectives are spent, over the long windows of the alerts on it."""
    ids = "|".join(one.id.replace(".", "\\\\.") for one in objectives)
    rates = {window: burn(series(naming.ERROR_RATIO[window], sloth_id=f"~{ids}")) for window in naming.WORST_BURN}
    return _burns(objectives, make, rates, "{{sloth_slo}} {{nat_cluster}} {{nat}} {{subnet}} {{target}}{{destination}}")


def worst_burns(objectives: tuple[Objective, ...], make: Maker) -> tuple[Tile, ...]:
    """The same of the NAT or subnet where each is spent fastest, which takes a fleet of a thousand no longer."""
    rates = {window: highest(("sloth_slo",), series(recorded)) for window, recorded in naming.WORST_BURN.items()}
    return _burns(objectives, make, rates, "{{sloth_slo}}")


def _burns(objectives: tuple[Objective, ...], make: Maker, rates: Mapping[str, Query], legend: str) -> tuple[Tile, ...]:
    if not objectives:
        return ()
    shown = tuple(dict.fromkeys(name for one in objectives for name in (one.sli, one.alert)))
    levels = {window: sorted(_level(tier) for tier in TIERS if tier.long == window) for window in rates}
    return tuple(
        make.graph(
            About(
                f"Burn rate over {window}",
                "How many times as fast as it lasts the error budget of 30 days is spent. The lines are the tiers of "
                "the alerts on it; each also asks for a shorter window and a few bad events.",
                shows=shown,
                size=(6, 8),
                levels=tuple(levels[window]),
            ),
            Line(rate, legend),
        )
        for window, rate in rates.items()
    )


def _level(tier: Tier) -> Level:
    return tier.factor, _TIERS[tier.action]
