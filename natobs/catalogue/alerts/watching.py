"""Alerts on the watching itself: agents, probers and Prometheus that cannot say whether all is well."""

from natobs.catalogue.alerting import Alert, note, page, ticket
from natobs.catalogue.alerts.symptoms import SYMPTOMS
from natobs.catalogue.metrics import accounting, agent, probes
from natobs.catalogue.naming import DAY, HOUR, MINUTE, OLDEST_SAMPLE, UP
from natobs.catalogue.objectives import PERIOD_DAYS
from natobs.catalogue.promql import (
    NOW,
    Scope,
    call,
    count,
    highest,
    increase,
    lowest,
    over,
    seconds,
    series,
    total,
)
from natobs.catalogue.values import AGENT_SEEN, AGENTS, PROBER_SEEN

_FIVE, _FIFTEEN = 5 * MINUTE, 15 * MINUTE
_AGENT_UP = series(UP, nat="~.+", subnet="")
_PROBER_UP = series(UP, nat="~.+", subnet="~.+")
_VANISHED = over("last_over_time", PROBER_SEEN.series, DAY).unless(
    count(Scope.SUBNET, series(probes.ATTEMPTS)), Scope.SUBNET
)
"""Probers of the last day that Prometheus does not scrape any more."""
_PERIOD = PERIOD_DAYS * DAY
_OLDEST = series(OLDEST_SAMPLE)
_HISTORY = lowest(("instance",), NOW - _OLDEST.compare(">", over("min_over_time", _OLDEST, 3 * DAY)))
"""How long back Prometheus remembers, in seconds, where it has forgotten something within three days; younger ones
have just not lived long enough. A rise is looked for, no change: before its first sample Prometheus gives a time stamp
far in the future."""

ALERTS = (
    Alert(
        "NatWatchdog",
        "",
        Scope.CLUSTER,
        count(Scope.CLUSTER, series(UP, nat_cluster="~.+")),
        ">",
        (note(0),),
        "This alert always fires: it shows that alerts are delivered.",
        "Prometheus watches {value} agents and probers of {nat_cluster}.",
        keep=0,
        masked=False,
    ),
    Alert(
        "NatAgentDown",
        "M1",
        Scope.NAT,
        highest(Scope.NAT, over("max_over_time", _AGENT_UP, MINUTE)),
        "<",
        (page(1, MINUTE),),
        "The agent of a NAT does not answer: the NAT may be down.",
        "Prometheus cannot scrape the agent of {nat}.",
        unit="state",
        silences=(
            "NatAgentAbsent",
            "NatTrafficStopped",
            "NatSubnetRouteMissing",
            "NatReturnBlocked",
            "NatStateLost",
            "NatRouteChanged",
            *SYMPTOMS,
        ),
        keep=7 * MINUTE,
    ),
    Alert(
        "NatAgentAbsent",
        "",
        Scope.NAT,
        over("last_over_time", AGENT_SEEN.series, DAY).unless(count(Scope.NAT, AGENTS), Scope.NAT),
        ">",
        (ticket(0, _FIFTEEN),),
        "A NAT that was watched has vanished.",
        "{nat} exported metrics within the last day and does not now.",
    ),
    Alert(
        "NatProberDown",
        "M1",
        Scope.SUBNET,
        highest(Scope.SUBNET, over("max_over_time", _PROBER_UP, MINUTE)),
        "<",
        (ticket(1),),
        "The prober of a private subnet does not answer.",
        "Prometheus cannot scrape the prober of {subnet} behind {nat}: nobody sees what its hosts live through.",
        unit="state",
        silences=("NatProbesSilent",),
    ),
    Alert(
        "NatProbesSilent",
        "M1",
        Scope.SUBNET,
        total(Scope.SUBNET, increase(series(probes.ATTEMPTS), _FIVE)).either(_VANISHED * 0),
        "<=",
        (ticket(0),),
        "A prober has stopped probing, or has vanished.",
        "The prober of {subnet} behind {nat} has made no attempt for 5 minutes.",
        rests_on=("probes",),
    ),
    Alert(
        "NatProbeScheduleLate",
        "M1",
        Scope.SUBNET,
        highest(Scope.SUBNET, over("min_over_time", series(probes.SCHEDULE_LAG), _FIVE)),
        ">",
        (ticket(1),),
        "A prober cannot keep its schedule.",
        "Probes of {subnet} begin up to {value} late: the host is too busy, or has too many targets.",
        unit="seconds",
        rests_on=("probes",),
        keep=MINUTE,
    ),
    Alert(
        "NatCollectorFailing",
        "",
        Scope.NAT,
        lowest(Scope.NAT, over("max_over_time", series(agent.COLLECTOR_SUCCESS), _FIVE), "collector"),
        "<",
        (ticket(1, _FIVE),),
        "The agent cannot read a part of the NAT.",
        "The collector {collector} of {nat} fails.",
        unit="state",
        extra=("collector",),
    ),
    Alert(
        "NatRetentionTooShort",
        "",
        Scope.CLUSTER,
        call("label_replace", _HISTORY / seconds(_PERIOD), '"nat_cluster"', '"prometheus"', '""', '""'),
        "<",
        (ticket(1, HOUR),),
        "Prometheus forgets what error budgets are computed from.",
        "Prometheus ({instance}) keeps only {value} of the 30 days that error budgets are computed over.",
        unit="ratio",
        extra=("instance",),
        masked=False,
        quiet="Prometheus keeps enough",
    ),
    Alert(
        "NatAccountingOutdated",
        "",
        Scope.NAT,
        lowest(Scope.NAT, over("max_over_time", series(accounting.CURRENT), _FIVE)),
        "<",
        (ticket(1, _FIFTEEN),),
        "The accounting table is not the one that the configuration makes.",
        "The accounting table of {nat} is older than its configuration, or lacks rules; run natobs accounting install.",
        unit="state",
        where=lowest(Scope.NAT, series(accounting.INSTALLED)) > 0,
        rests_on=("accounting",),
    ),
)
