"""Alerts on the translation table and on public ports: M2, M8, and the failure modes F1 and F9."""

from natobs.catalogue.alerting import Alert, note, page, ticket
from natobs.catalogue.alerts.symptoms import SYMPTOMS
from natobs.catalogue.idioms import predicted
from natobs.catalogue.metrics import conntrack, flows
from natobs.catalogue.naming import HOUR, MINUTE
from natobs.catalogue.promql import Scope, highest, increase, over, series, total
from natobs.catalogue.values import SATURATION, USAGE

_FIVE = 5 * MINUTE
_TABLE_FULL = total(Scope.NAT, increase(series(conntrack.NEW_FLOW_DROPS, reason="table_full"), _FIVE))
_CLASHES = total(Scope.NAT, increase(series(conntrack.NEW_FLOW_DROPS, reason="tuple_clash"), _FIVE))
EXHAUSTED = 0.8
"""A destination with less of its ports in use than this may have clashes, but is not out of ports (KERNEL.md)."""

ALERTS = (
    Alert(
        "NatTableFull",
        "M2",
        Scope.NAT,
        _TABLE_FULL,
        ">",
        (page(0, 30),),
        "The translation table is full: new flows are dropped.",
        "{nat} dropped {value} packets of new flows in 5 minutes because its translation table has no room.",
        fault="F1",
        silences=(
            "NatConntrackUsage",
            "NatTableEvicting",
            "NatConntrackFilling",
            "NatConntrackUsageBurn",
            "NatPacketDropsBurn",
            "NatTupleClashes",
            *SYMPTOMS,
        ),
    ),
    Alert(
        "NatConntrackUsage",
        "M2",
        Scope.NAT,
        USAGE.series,
        ">",
        (ticket(0.75, 10 * MINUTE), page(0.90)),
        "The translation table is nearly full.",
        "The translation table of {nat} is {value} full.",
        unit="ratio",
        fault="F1",
        silences=("NatTableEvicting", "NatConntrackFilling", "NatConntrackUsageBurn"),
        keep=4 * MINUTE,
    ),
    Alert(
        "NatConntrackFilling",
        "M2",
        Scope.NAT,
        highest(Scope.NAT, predicted(series(conntrack.ENTRIES), 15 * MINUTE, HOUR))
        / highest(Scope.NAT, series(conntrack.LIMIT)),  # a table without limit is never half full
        ">",
        (ticket(1, _FIVE),),
        "The translation table will be full within an hour.",
        "At the pace of the last 15 minutes the translation table of {nat} will be {value} full in an hour.",
        unit="ratio",
        fault="F1",
        where=USAGE.series > 0.5,
        keep=MINUTE,
    ),
    Alert(
        "NatTableEvicting",
        "M2",
        Scope.NAT,
        total(Scope.NAT, increase(series(conntrack.EARLY_DROP), _FIVE)),
        ">",
        (ticket(0, MINUTE),),
        "The kernel evicts flows to make room in the translation table.",
        "{nat} evicted {value} flows that nobody had answered in 5 minutes.",
        fault="F1",
        keep=MINUTE,
    ),
    Alert(
        "NatPortsExhausted",
        "M8",
        Scope.NAT,
        _CLASHES,
        ">",
        (page(0, 30),),
        "A destination has run out of public ports: new flows to it are dropped.",
        "{nat} dropped {value} packets of new flows in 5 minutes because every port it tried towards a destination was "
        "taken.",
        fault="F9",
        where=SATURATION.series >= EXHAUSTED,
        keep=7 * MINUTE,  # the last census before the end still says that it is saturated
        silences=("NatPortSaturation", "NatTupleClashes", "NatPortAllocationBurn", "NatPacketDropsBurn", *SYMPTOMS),
        rests_on=("census",),
    ),
    Alert(
        "NatPortSaturation",
        "M8",
        Scope.NAT,
        SATURATION.series,
        ">=",
        (ticket(0.60), page(0.80)),
        "A destination is running out of public ports.",
        "The fullest destination of {nat} takes {value} of the ports of a public address.",
        unit="ratio",
        fault="F9",
        rests_on=("census",),
        keep=MINUTE,
    ),
    Alert(
        "NatTupleClashes",
        "M8",
        Scope.NAT,
        _CLASHES.unless(SATURATION.series >= EXHAUSTED, Scope.NAT),
        ">",
        (ticket(10),),
        "New flows are dropped because the ports that were tried were taken.",
        "{nat} dropped {value} packets of new flows in 5 minutes although no destination is out of ports; "
        "masquerade with --random-fully avoids it.",
        silences=("NatPortAllocationBurn",),
        keep=MINUTE,
    ),
    Alert(
        "NatChainsTooLong",
        "M2",
        Scope.NAT,
        total(Scope.NAT, increase(series(conntrack.NEW_FLOW_DROPS, reason="chain_too_long"), _FIVE)),
        ">",
        (ticket(0, MINUTE),),
        "New flows are dropped because hash chains of the translation table are too long.",
        "{nat} dropped {value} packets of new flows in 5 minutes for their hash chain.",
    ),
    Alert(
        "NatCensusIncomplete",
        "",
        Scope.NAT,
        highest(Scope.NAT, over("max_over_time", series(flows.COMPLETE), 15 * MINUTE)),
        "<",
        (note(1, _FIVE),),
        "The flow census does not see the whole table.",
        "No census of {nat} was complete for 15 minutes: saturation and top hosts are lower bounds.",
        unit="state",
        rests_on=("census",),
    ),
)
