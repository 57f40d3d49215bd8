"""Alerts on what changed: lost state (F5), restarts, routes, scaling, maintenance, the kernel log. M10."""

from natobs.catalogue.alerting import Alert, note, ticket
from natobs.catalogue.alerts.symptoms import BURNS
from natobs.catalogue.idioms import pooled
from natobs.catalogue.metrics import (
    accounting,
    events,
    host,
    kernel_log,
    operations,
    protocols,
    protocols6,
    routing,
)
from natobs.catalogue.naming import HOUR, MINUTE
from natobs.catalogue.promql import NOW, Scope, highest, increase, rate, seconds, series, total
from natobs.catalogue.values import MAINTENANCE

_FIVE, _TEN = 5 * MINUTE, 10 * MINUTE
_FORWARDED = pooled(
    Scope.NAT,
    "sum",
    ipv4=rate(series(protocols.IP_FORWARDED), _FIVE),
    ipv6=rate(series(protocols6.IP6_FORWARDED), _FIVE),
)
_FORWARDED_BEFORE = pooled(
    Scope.NAT,
    "sum",
    ipv4=increase(series(protocols.IP_FORWARDED, offset=_TEN), HOUR),
    ipv6=increase(series(protocols6.IP6_FORWARDED, offset=_TEN), HOUR),
)

ALERTS = (
    Alert(
        "NatMaintenance",
        "M10",
        Scope.NAT,
        MAINTENANCE.series,
        ">=",
        (note(1),),
        "Maintenance of the NAT is declared.",
        "Maintenance of {nat} is declared, or ended less than 10 minutes ago: its alerts are silent.",
        unit="state",
        keep=0,
        masked=False,
        quiet="nobody has declared maintenance",
    ),
    Alert(
        "NatStateLost",
        "M6",
        Scope.NAT,
        pooled(
            Scope.NAT,
            "sum",
            pickups=increase(series(accounting.MIDSTREAM), _FIVE),
            flows=increase(series(events.LOST_FLOWS), _FIVE),
        ),
        ">",
        (ticket(5, 0),),
        "The NAT has lost the state of running connections.",
        "{nat} saw {value} packets of connections that it did not know any more: they break.",
        fault="F5",
        silences=("NatResets", "NatResetsBurn", "NatRouteChanged", *BURNS),
        rests_on=("accounting",),
        keep=2 * MINUTE,
    ),
    Alert(
        "NatRestarted",
        "M10",
        Scope.NAT,
        (NOW - highest(Scope.NAT, series(host.BOOT_TIME))) / seconds(_TEN),
        "<",
        (note(1),),
        "The NAT was started a short while ago.",
        "{nat} was started less than 10 minutes ago: connections from before have lost their state.",
        unit="state",
        fault="F5",
        keep=0,
    ),
    Alert(
        "NatRouteChanged",
        "M10",
        Scope.NAT,
        total(Scope.NAT, increase(series(routing.ROUTE_CHANGES, kind="~default_.+"), _FIVE)),
        ">",
        (ticket(0, 2 * MINUTE),),  # whatever it is a symptom of has fired by then
        "A default route of the NAT came, went or was replaced.",
        "Default routes of {nat} changed {value} times in 5 minutes.",
        fault="F4",
        keep=0,
    ),
    Alert(
        "NatTrafficStopped",
        "M4",
        Scope.NAT,
        _FORWARDED,
        "<=",
        (ticket(0, _TEN),),
        "The NAT forwards nothing any more.",
        "{nat} has forwarded nothing for 5 minutes, although it did within the last hour.",
        unit="per_second",
        where=_FORWARDED_BEFORE > 600,
    ),
    Alert(
        "NatScalingFlapping",
        "M10",
        Scope.CLUSTER,
        total(Scope.CLUSTER, increase(series(operations.SCALING_EVENTS, kind="~scale_out|scale_in|failover"), HOUR)),
        ">",
        (ticket(4, 0),),
        "The fleet scales to and fro.",
        "{nat_cluster} has scaled or failed over {value} times within an hour.",
        masked=False,
    ),
    Alert(
        "NatKernelTrouble",
        "M10",
        Scope.NAT,
        total(Scope.NAT, increase(series(kernel_log.EVENTS, event="!conntrack_table_full"), _FIVE), "event"),
        ">",
        (ticket(0, 0),),
        "The kernel log of the NAT reports trouble.",
        "The kernel log of {nat} reports {event}.",
        extra=("event",),
    ),
)
