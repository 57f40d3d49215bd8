"""The service level objectives of a NAT: what counts as bad, of what, and how much of it is allowed.

Knows for each objective the events or minutes that are counted, and the burn
rates that somebody is told about. How the counts become recorded series and
alerts is known in :mod:`natobs.generate`.

Event objectives count attempts, packets or connections. Time-slice objectives
count minutes, good or bad. Both are event weighted: a quiet hour weighs little.

Burn tiers: Google, "The Site Reliability Workbook", chapter 5, table 5-8, and
the freeze of risky changes at four times.
"""

from dataclasses import dataclass
from typing import NamedTuple

from natobs.catalogue import naming, values
from natobs.catalogue.metrics import accounting, conntrack, network, probes
from natobs.catalogue.naming import MINUTE, Action, Severity
from natobs.catalogue.promql import (
    Query,
    Scope,
    call,
    count,
    increase,
    series,
    total,
)
from natobs.errors import CatalogueError

FIVE = 5 * MINUTE
PERIOD_DAYS = 30
LEAST_FAILURES = 3
"""Fewer bad events than these page nobody, whatever share they are; a configuration in which they could is refused."""


class Tier(NamedTuple):
    """A speed at which an error budget is spent, and what becomes of it.

    Args:
        factor: times the speed that just spends the budget in the period.
        long: window that the share is taken over, in seconds; a key of :data:`natobs.catalogue.naming.WINDOWS`.
        short: window that shows that it still goes on.
    """

    factor: float
    long: str
    short: str
    severity: Severity
    action: Action


TIERS = (
    Tier(14.4, "1h", "5m", Severity.CRITICAL, Action.PAGE),
    Tier(6, "6h", "30m", Severity.CRITICAL, Action.PAGE),
    Tier(4, "6h", "30m", Severity.WARNING, Action.FREEZE),
    Tier(3, "1d", "2h", Severity.WARNING, Action.TICKET),
    Tier(1, "3d", "6h", Severity.WARNING, Action.TICKET),
)
"""From the fastest to the slowest."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective.

    Args:
        id: ``sloth_id`` and, without its first word, ``sloth_slo``.
        sli: ``M1`` to ``M9``.
        alert: name of the alert on its burn rates.
        title: in a few words.
        good: the end of the sentence "the objective is that 99.9 % of ...".
        target: share of good events, above 0 and below 1.
        scope: for whom there is a budget.
        bad: events of the last five minutes that were bad; of a time-slice objective 1 in a bad minute and 0 else.
        total: all of these events; of a time-slice objective 1 wherever there is a value.
        slices: whether minutes are counted.
        extra: more labels that tell budgets apart.
        per_minute: events a minute that an ordinary deployment has; decides how many failures page.
        pages: whether anybody is woken; else burning is a matter of tickets.
        needs: what must be switched on for it, where that is not so by default.
    """

    id: str
    sli: str
    alert: str
    title: str
    good: str
    target: float
    scope: Scope
    bad: Query
    total: Query
    per_minute: float
    slices: bool = False
    extra: tuple[str, ...] = ()
    pages: bool = True
    needs: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise CatalogueError(f"objective {self.id}: the target {self.target} is not between 0 and 1")
        if not self.id.startswith(f"{naming.SERVICE}-") or not self.alert.startswith("Nat"):
            raise CatalogueError(f"objective {self.id}: its id starts with nat-, its alert with Nat")

    @property
    def name(self) -> str:
        """Its name within the service: ``sloth_slo``."""
        return self.id.removeprefix(f"{naming.SERVICE}-")

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.target, 9)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that tell its budgets apart, beside those of the objective itself."""
        return (*self.scope.value, *self.extra)

    def tiers(self) -> tuple[Tier, ...]:
        """The speeds that matter: those that page only where somebody is to be woken."""
        return tuple(tier for tier in TIERS if self.pages or tier.action is not Action.PAGE)

    def failures(self, tier: Tier) -> float:
        """How many bad events within its long window it takes to reach a tier, in an ordinary deployment."""
        return tier.factor * self.budget * self.per_minute * naming.WINDOWS[tier.long] / MINUTE

    def least_per_minute(self, tier: Tier) -> float:
        """How many events a minute there must be so that fewer than the least number of failures never page."""
        return LEAST_FAILURES * MINUTE / (tier.factor * self.budget * naming.WINDOWS[tier.long])


def _minus(scope: Scope, whole: Query, part: Query, *more: str) -> Query:
    """Events that are not in a part of them; never below zero, which two extrapolations can come to."""
    return call("clamp_min", total(scope, whole, *more) - total(scope, part, *more), 0)


_FLOWS = "!pmtu"
"""Kinds of probes that are flows as users have them. The search for the path MTU asks how large a packet may be: that
it is small fails no flow whose sender is told, may be so for good, and has alerts of its own."""
_FIRST = increase(series(probes.ATTEMPTS, kind=_FLOWS), FIVE)
_FIRST_GOOD = increase(series(probes.FIRST_ATTEMPT_SUCCESS, kind=_FLOWS), FIVE)
_CRITICAL = increase(series(probes.ATTEMPTS, kind=_FLOWS, target="~.+"), FIVE)
_CRITICAL_GOOD = increase(series(probes.FIRST_ATTEMPT_SUCCESS, kind=_FLOWS, target="~.+"), FIVE)
_TCP = increase(series(accounting.ATTEMPTS, proto="tcp"), FIVE)
_TCP_ANSWERED = increase(series(accounting.ANSWERED, proto="tcp"), FIVE)

TABLE_LIMIT, CPU_LIMIT, LOAD_LIMIT, ADDED_LIMIT = 0.70, 0.60, 0.90, 0.020
"""What a good minute stays below: MISSION's starting targets of M2, M3, M4 and M7."""


ALL: tuple[Objective, ...] = (
    Objective(
        "nat-outbound-success",
        "M1",
        "NatOutboundSuccessBurn",
        "Outbound success",
        "the first attempts of probes from the private subnet succeed",
        0.999,
        Scope.SUBNET,
        bad=_minus(Scope.SUBNET, _FIRST, _FIRST_GOOD),
        total=total(Scope.SUBNET, _FIRST),
        per_minute=60,
        needs="probes",
    ),
    Objective(
        "nat-outbound-answered",
        "M1",
        "NatOutboundAnsweredBurn",
        "Forwarded connections answered",
        "the TCP connections that private hosts open are answered",
        0.99,
        Scope.NAT,
        bad=_minus(Scope.NAT, _TCP, _TCP_ANSWERED),
        total=total(Scope.NAT, _TCP),
        per_minute=100,
        pages=False,  # third parties that are dead lower it too
        needs="accounting",
    ),
    Objective(
        "nat-conntrack-usage",
        "M2",
        "NatConntrackUsageBurn",
        "Room in the translation table",
        "the minutes have a translation table that is less than 70 % full",
        0.99,
        Scope.NAT,
        bad=values.USAGE.series.is_so(">", TABLE_LIMIT),
        total=count(Scope.NAT, values.USAGE.series),
        per_minute=1,
        slices=True,
        pages=False,
    ),
    Objective(
        "nat-cpu",
        "M3",
        "NatCpuBurn",
        "CPU headroom",
        "the minutes leave 40 % of the CPUs idle",
        0.99,
        Scope.NAT,
        bad=values.BUSY.series.is_so(">", CPU_LIMIT),
        total=count(Scope.NAT, values.BUSY.series),
        per_minute=1,
        slices=True,
        pages=False,
    ),
    Objective(
        "nat-throughput",
        "M4",
        "NatThroughputBurn",
        "Throughput headroom",
        "the minutes have no peak above 90 % of an interface's capacity",
        0.99,
        Scope.NAT,
        bad=values.LOAD.series.is_so(">", LOAD_LIMIT),
        total=count(Scope.NAT, values.LOAD.series),
        per_minute=1,
        slices=True,
        pages=False,
        needs="capacity",
    ),
    Objective(
        "nat-packet-drops",
        "M5",
        "NatPacketDropsBurn",
        "Packets kept",
        "the packets that come in are not lost on the NAT",
        0.9999,
        Scope.NAT,
        bad=values.DROPS.series,
        total=total(Scope.NAT, increase(series(network.RECEIVE_PACKETS), FIVE)),
        per_minute=6000,
        pages=False,
    ),
    Objective(
        "nat-resets",
        "M6",
        "NatResetsBurn",
        "Connections without a reset",
        "the answered TCP connections see no reset",
        0.95,
        Scope.NAT,
        bad=total(Scope.NAT, increase(series(accounting.RESETS), FIVE)),
        total=total(Scope.NAT, _TCP_ANSWERED),
        per_minute=100,
        pages=False,
        needs="accounting",
    ),
    Objective(
        "nat-added-latency",
        "M7",
        "NatAddedLatencyBurn",
        "Added latency",
        "the minutes add less than 20 ms to a round trip",
        0.99,
        Scope.NAT,
        bad=values.ADDED.series.is_so(">", ADDED_LIMIT),
        total=count(Scope.NAT, values.ADDED.series),
        per_minute=1,
        slices=True,
        pages=False,
        needs="probes",
    ),
    Objective(
        "nat-port-allocation",
        "M8",
        "NatPortAllocationBurn",
        "Ports allocated",
        "the new flows get a public port",
        0.999,
        Scope.NAT,
        bad=total(Scope.NAT, increase(series(conntrack.NEW_FLOW_DROPS, reason="tuple_clash"), FIVE)),
        total=total(Scope.NAT, increase(series(accounting.ATTEMPTS), FIVE)),
        per_minute=200,
        needs="accounting",
    ),
    Objective(
        "nat-critical-service",
        "M9",
        "NatCriticalServiceBurn",
        "Critical service",
        "the first attempts at the critical target succeed",
        0.999,
        Scope.SUBNET,
        bad=_minus(Scope.SUBNET, _CRITICAL, _CRITICAL_GOOD, "target"),
        total=total(Scope.SUBNET, _CRITICAL, "target"),
        per_minute=6,
        extra=("target",),
        needs="critical probes",
    ),
)
"""The objectives of natobs' default configuration."""


def service(name: str, target: float, per_minute: float) -> Objective:
    """The objective of a destination that the configuration names: flows that were answered, as the kernel counts them.

    Args:
        name: value of the label ``destination``, as ``accounting.names`` gives it.
        target: share of attempts that must be answered.
        per_minute: attempts a minute at ordinary times.
    """
    attempts = increase(series(accounting.DESTINATION_ATTEMPTS, destination=name), FIVE)
    answered = increase(series(accounting.DESTINATION_ANSWERED, destination=name), FIVE)
    return Objective(
        f"nat-service-{name}",
        "M9",
        "NatServiceBurn",
        f"Service {name}",
        f"the flows to {name} are answered",
        target,
        Scope.NAT,
        bad=_minus(Scope.NAT, attempts, answered, "destination"),
        total=total(Scope.NAT, attempts, "destination"),
        per_minute=per_minute,
        extra=("destination",),
        needs="accounting",
    )
