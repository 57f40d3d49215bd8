"""Tiles that more than one dashboard has: firing alerts, health, throughput, drops by reason."""

from natobs.catalogue.metrics import conntrack, network, nic, protocols, softnet
from natobs.catalogue.naming import FIRING, UP
from natobs.catalogue.promql import Query, Scope, Span, highest, rate, series, total
from natobs.generate.dashboards.grafana import Json
from natobs.generate.dashboards.layout import Tile
from natobs.generate.dashboards.panels import GREEN, ORANGE, RED, About, Column, Line, Maker

NAT = "{{nat_cluster}} {{nat}}"
"""How series of a NAT are called."""
YES_NO: tuple[Json, ...] = (
    {
        "type": "value",
        "options": {
            "0": {"text": "no", "color": RED, "index": 0},
            "1": {"text": "yes", "color": GREEN, "index": 1},
        },
    },
)
"""Texts of a value that is 1 when all is well."""


def firing(make: Maker, size: tuple[int, int]) -> Tile:
    """What fires now, with the way to its curves."""
    keys = ("alertname", "severity", *Scope.SUBNET.value)
    chosen = series(FIRING, alertstate="firing", natobs_action="!none")
    return make.table(
        About(
            "Firing alerts",
            "Alerts that fire now and concern somebody. Empty when all is well. A click on a NAT leads to its curves.",
            size=size,
            shows=tuple(f"M{number}" for number in range(1, 11)),
            unit="short",
        ),
        Column(
            Line(highest(keys, chosen), "Firing"),
            "bool_yes_no",
            ((1.0, RED),),
        ),
        keys=keys,
    )


def health(make: Maker, size: tuple[int, int]) -> Tile:
    """Whether agents and probers answer."""
    return make.states(
        About(
            "Instances answer",
            "Whether Prometheus can scrape each agent and each prober. A NAT whose agent is silent may be down.",
            shows=("M1", "NatAgentDown", "NatProberDown"),
            size=size,
            base=RED,
            levels=((1.0, GREEN),),
        ),
        Line(
            highest((*Scope.SUBNET.value, "instance"), series(UP, nat="~.+")), f"{NAT} {{{{subnet}}}} {{{{instance}}}}"
        ),
        mappings=YES_NO,
    )


def throughput(make: Maker, size: tuple[int, int]) -> Tile:
    """Bytes a second at each interface."""
    place = (*Scope.NAT.value, "device")
    return make.graph(
        About(
            "Throughput",
            "Bytes a second that each interface receives and sends, averaged between scrapes. Peaks within a second "
            "are in the panel of the alert on throughput.",
            unit="Bps",
            shows=("M4",),
            size=size,
        ),
        Line(total(place, rate(series(network.RECEIVE_BYTES), Span.RATE)), "{{nat}} {{device}} in"),
        Line(total(place, rate(series(network.TRANSMIT_BYTES), Span.RATE)), "{{nat}} {{device}} out"),
    )


def drops(make: Maker, size: tuple[int, int]) -> Tile:
    """Packets lost on the NAT, by where and why."""
    reasons: dict[str, Query] = {
        "received, then dropped": series(network.RECEIVE_DROPS),
        "dropped on the way out": series(network.TRANSMIT_DROPS),
        "no receive buffer": series(network.RECEIVE_MISSED),
        "queue": series(network.QDISC_DROPS),
        "backlog of a CPU": series(softnet.DROPPED),
        "no resource (IP)": series(protocols.IP_INPUT_DISCARDS),
        "no route": series(protocols.IP_FORWARD_NO_ROUTE),
        "reverse path filter": series(protocols.IP_REVERSE_PATH_DROPS),
        "connection tracking": series(conntrack.DROP),
    }
    named = {
        ("driver", "reason"): series(nic.DRIVER_DROPS),
        ("allowance of the cloud", "allowance"): series(nic.ALLOWANCE_EXCEEDED),
    }
    return make.graph(
        About(
            "Packets dropped, by reason",
            "Packets a second that the NAT lost, by where it happened. A few under load are normal; the objective is "
            "one in ten thousand. What firewall rules drop on purpose is in a panel of its own.",
            unit="pps",
            shows=("M5",),
            size=size,
        ),
        *(Line(total(Scope.NAT, rate(query, Span.RATE)), f"{{{{nat}}}} {reason}") for reason, query in reasons.items()),
        *(
            Line(total(Scope.NAT, rate(query, Span.RATE), label), f"{{{{nat}}}} {reason}: {{{{{label}}}}}")
            for (reason, label), query in named.items()
        ),
        stacked=True,
    )


def new_flow_drops(make: Maker, size: tuple[int, int]) -> Tile:
    """Flows that got no entry."""
    return make.graph(
        About(
            "New flows dropped",
            "Packets a second of new flows that connection tracking dropped: the table is full, every port that was "
            "tried was taken, or a hash chain was too long.",
            unit="pps",
            shows=("M2", "M8"),
            size=size,
            levels=((0.01, ORANGE),),
        ),
        Line(total(Scope.NAT, rate(series(conntrack.NEW_FLOW_DROPS), Span.RATE), "reason"), "{{nat}} {{reason}}"),
    )
