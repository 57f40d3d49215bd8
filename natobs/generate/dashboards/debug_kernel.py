"""Panels of the debug dashboard about the kernel of a NAT: its table, its ports, its log, its CPUs."""

from natobs.catalogue.idioms import most, slope
from natobs.catalogue.metrics import (
    accounting,
    conntrack,
    events,
    firewall,
    flows,
    kernel_log,
    network,
    protocols,
    softnet,
)
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.promql import Scope, Span, highest, rate, series, total
from natobs.generate.dashboards.layout import Tile
from natobs.generate.dashboards.panels import ORANGE, RED, About, Column, Line, Maker

_PORTS = (*Scope.NAT.value, "snat_ip", "proto", "destination", "port")


def table(make: Maker) -> tuple[Tile, ...]:
    """Growth of the translation table, and the hosts and destinations that cause it."""
    return (
        make.graph(
            About(
                "Growth of the translation table",
                "Entries a second that it gains, or loses, by the line through five minutes.",
                unit="cps",
                shows=("M2",),
            ),
            Line(highest(Scope.NAT, slope(series(conntrack.ENTRIES), 5 * MINUTE)), "{{nat_cluster}} {{nat}}"),
        ),
        make.graph(
            About(
                "Hosts with the most flows",
                "Entries by private host, the largest; everybody else is `other`.",
                shows=("M2",),
            ),
            Line(highest(Scope.NAT, series(flows.HOST_FLOWS), "host"), "{{nat}} {{host}}"),
            stacked=True,
        ),
        make.graph(
            About(
                "Hosts that grow",
                "Entries more than in the census before, of the hosts that grew the most.",
                shows=("M2",),
            ),
            Line(highest(Scope.NAT, series(flows.HOST_CHANGE), "host"), "{{nat}} {{host}}"),
        ),
        make.graph(
            About(
                "Flows by state",
                "Entries by protocol and state. Many in SYN_SENT or unreplied: somebody does not answer.",
                shows=("M2",),
            ),
            Line(total(Scope.NAT, series(flows.FLOWS), "proto", "state"), "{{nat}} {{proto}} {{state}}"),
            stacked=True,
        ),
        make.graph(
            About(
                "Hosts whose flows nobody answers",
                "Unanswered entries by private host: scans, and clients of a dead service.",
                shows=("M2", "M9"),
            ),
            Line(highest(Scope.NAT, series(flows.HOST_UNANSWERED), "host"), "{{nat}} {{host}}"),
        ),
        make.graph(
            About(
                "Attempts by host",
                "Flows a second that each private host opens, the ten busiest.",
                unit="cps",
                shows=("M2",),
            ),
            Line(
                most(10, total(Scope.NAT, rate(series(accounting.HOST_ATTEMPTS), Span.RATE), "host")),
                "{{nat}} {{host}}",
            ),
        ),
        make.graph(
            About(
                "Ends of flows",
                "Entries a second that ended: idle too long, lost with their state, or evicted to make room.",
                unit="cps",
                shows=("M2", "M6"),
            ),
            Line(total(Scope.NAT, rate(series(events.DESTROYED), Span.RATE), "proto"), "{{nat}} {{proto}} ended"),
            Line(
                total(Scope.NAT, rate(series(events.IDLE_TIMEOUTS), Span.RATE), "proto"),
                "{{nat}} {{proto}} idle too long",
            ),
            Line(total(Scope.NAT, rate(series(events.LOST_FLOWS), Span.RATE), "cause"), "{{nat}} lost: {{cause}}"),
            Line(total(Scope.NAT, rate(series(conntrack.EARLY_DROP), Span.RATE)), "{{nat}} evicted"),
        ),
        make.graph(
            About(
                "Lookups and insertions",
                "Candidate ports found taken, failed insertions, invalid packets and overlong chains a second. Many "
                "found while ports are free: NAT rules without random-fully.",
                unit="cps",
                shows=("M2", "M8"),
            ),
            *(
                Line(total(Scope.NAT, rate(series(metric), Span.RATE)), f"{{{{nat}}}} {name}")
                for metric, name in (
                    (conntrack.FOUND, "found taken"),
                    (conntrack.INSERT_FAILED, "insertion failed"),
                    (conntrack.INVALID, "invalid"),
                    (conntrack.CHAIN_TOOLONG, "chain too long"),
                )
            ),
        ),
        make.graph(
            About(
                "Lost state",
                "Packets of connections that the NAT did not know any more, and resets that it made itself: what a "
                "restart or a flush looks like.",
                unit="pps",
                shows=("M6",),
            ),
            Line(total(Scope.NAT, rate(series(accounting.MIDSTREAM), Span.RATE)), "{{nat}} unknown connections"),
            Line(total(Scope.NAT, rate(series(protocols.TCP_RESETS_SENT), Span.RATE)), "{{nat}} own resets"),
        ),
    )


def ports(make: Maker) -> tuple[Tile, ...]:
    """Source ports of public addresses, by destination."""
    taken = highest(_PORTS[:4], series(flows.DESTINATION_PORTS), *_PORTS[4:])
    reclaimable = highest(_PORTS[:4], series(flows.DESTINATION_RECLAIMABLE), *_PORTS[4:])
    pool = ("snat_ip", "proto")
    return (
        make.table(
            About(
                "Ports by destination",
                "Ports of a public address that one destination takes, and how many more the kernel would take away "
                "for a new flow.",
                shows=("M8",),
                size=(12, 9),
            ),
            Column(Line(taken, "Taken")),
            Column(Line(reclaimable, "Reclaimable")),
            sort_by="Taken",
            keys=_PORTS,
        ),
        make.graph(
            About(
                "Saturation",
                "Share of a public address' ports that its fullest destination takes. New flows begin to fail long "
                "before all are taken.",
                unit="percentunit",
                shows=("M8",),
                size=(12, 9),
                levels=((0.6, ORANGE), (0.8, RED)),
            ),
            Line(highest(Scope.NAT, series(flows.SATURATION), *pool), "{{nat}} {{snat_ip}} {{proto}}"),
        ),
        make.graph(
            About(
                "Ports in use and in range",
                "Distinct ports of a public address in use, for whatever destinations, and how many it has towards one "
                "destination.",
                shows=("M8",),
                size=(12, 8),
            ),
            Line(highest(Scope.NAT, series(flows.PORTS_IN_USE), *pool), "{{nat}} {{snat_ip}} {{proto}} in use"),
            Line(highest(Scope.NAT, series(flows.RANGE_SIZE), *pool), "{{nat}} {{snat_ip}} {{proto}} range"),
        ),
        make.graph(
            About(
                "Flows by destination",
                "Entries of the translation table towards the destinations that have the most.",
                shows=("M8", "M9"),
                size=(12, 8),
            ),
            Line(
                highest(Scope.NAT, series(flows.DESTINATION_FLOWS), "destination", "port", "proto"),
                "{{nat}} {{destination}}:{{port}} {{proto}}",
            ),
        ),
    )


def kernel(make: Maker) -> tuple[Tile, ...]:
    """What the kernel says of itself."""
    return (
        make.graph(
            About(
                "Kernel log",
                "Lines a second that report trouble of a NAT, by what they report. The kernel limits how often it "
                "repeats a line: that something happened counts, not how often.",
                unit="cps",
                shows=("M10", "M2"),
            ),
            Line(total(Scope.NAT, rate(series(kernel_log.EVENTS), Span.RATE), "event"), "{{nat}} {{event}}"),
            bars=True,
        ),
        make.graph(
            About(
                "Reception by CPU",
                "Times a second that a CPU stopped receiving with packets left, and packets dropped because its "
                "backlog was full.",
                unit="cps",
                shows=("M3", "M5"),
            ),
            Line(
                total(Scope.NAT, rate(series(softnet.TIMES_SQUEEZED), Span.RATE), "cpu"), "{{nat}} CPU {{cpu}} squeezed"
            ),
            Line(total(Scope.NAT, rate(series(softnet.DROPPED), Span.RATE), "cpu"), "{{nat}} CPU {{cpu}} dropped"),
        ),
        make.graph(
            About(
                "Errors of interfaces",
                "Damaged packets a second, and how often the carrier came or went.",
                unit="pps",
                shows=("M5",),
            ),
            Line(total(Scope.NAT, rate(series(network.RECEIVE_ERRORS), Span.RATE), "device"), "{{nat}} {{device}} in"),
            Line(
                total(Scope.NAT, rate(series(network.TRANSMIT_ERRORS), Span.RATE), "device"), "{{nat}} {{device}} out"
            ),
            Line(
                total(Scope.NAT, rate(series(network.CARRIER_CHANGES), Span.RATE), "device"),
                "{{nat}} {{device}} carrier",
            ),
        ),
        make.graph(
            About(
                "Queues of interfaces",
                "Bytes that wait in the queueing disciplines.",
                unit="bytes",
                shows=("M5", "M7"),
                size=(12, 8),
            ),
            Line(total(Scope.NAT, series(network.QDISC_BACKLOG), "device", "qdisc"), "{{nat}} {{device}} {{qdisc}}"),
        ),
        make.graph(
            About(
                "Firewall rules",
                "Packets a second that firewall rules counted, the ten busiest.",
                unit="pps",
                shows=("M5",),
                size=(12, 8),
            ),
            Line(
                most(10, total(Scope.NAT, rate(series(firewall.RULE_PACKETS), Span.RATE), "chain", "rule")),
                "{{nat}} {{chain}}: {{rule}}",
            ),
        ),
    )
