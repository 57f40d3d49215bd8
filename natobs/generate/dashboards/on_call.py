"""The on-call dashboard: what is wrong now, how full is everything, what has changed."""

from natobs.catalogue import alerts, naming
from natobs.catalogue.idioms import most
from natobs.catalogue.metrics import accounting, conntrack, firewall, host, network, operations, routing
from natobs.catalogue.promql import NOW, Query, Scope, Span, count, highest, increase, rate, series, total
from natobs.catalogue.values import BUSY, LOAD, MAINTENANCE, NAT_FAILING, SATURATION, USAGE
from natobs.generate.dashboards import logs, parts
from natobs.generate.dashboards.frame import Board
from natobs.generate.dashboards.layout import Row, Tile
from natobs.generate.dashboards.panels import BLUE, GREEN, ORANGE, About, Level, Line, Maker
from natobs.generate.dashboards.parts import NAT
from natobs.generate.dashboards.watched import Watched, burns, colors
from natobs.generate.settings import Plan


def board(plan: Plan, make: Maker) -> Board:
    """For whoever is woken."""
    watched = Watched(plan, make, naming.ON_CALL)
    return Board(
        naming.ON_CALL,
        "What is wrong now, how full is everything, and what has changed? For the engineer on call.",
        "1h",
        (
            Row("Now", _now(plan, make)),
            Row("Load", _load(make, watched)),
            Row("Loss", _loss(make, watched)),
            Row("Changes", _changes(make)),
            *logs.row(plan.fleet),
            Row("Error budgets", burns(watched.objectives, make), collapsed=True),
            *watched.rest(),
        ),
        variables=logs.variables(plan.fleet),
    )


def _now(plan: Plan, make: Maker) -> tuple[Tile, ...]:
    levels = {alert.name: colors(alert)[1] for alert in (*alerts.ALL, *plan.alerts)}
    dials: tuple[tuple[str, str, str, Query, tuple[Level, ...]], ...] = (
        (
            "CPU",
            "Share of all CPUs of the busiest NAT that is busy, over 5 minutes.",
            "M3",
            BUSY.series,
            levels["NatCpuUsage"],
        ),
        (
            "Translation table",
            "How full the fullest translation table is.",
            "M2",
            USAGE.series,
            levels["NatConntrackUsage"],
        ),
        (
            "Interfaces",
            "Highest peak of an interface within a second as a share of its capacity, where that is known.",
            "M4",
            LOAD.series,
            levels["NatThroughputNearLimit"],
        ),
        (
            "Public ports",
            "Share of a public address' ports that its fullest destination takes. New flows fail before all are taken.",
            "M8",
            SATURATION.series,
            levels["NatPortSaturation"],
        ),
        (
            "Probes that fail",
            "Share of first attempts of probes that failed within 2 minutes, of the NAT that fares worst.",
            "M1",
            NAT_FAILING.series,
            tuple(sorted([(0.01, ORANGE), *levels["NatProbeFailing"]])),
        ),
    )
    return (
        parts.firing(make, (14, 9)),
        parts.health(make, (10, 9)),
        *(
            make.gauge(
                About(title, text, "percentunit", (sli,), (4, 6), shades),
                Line(highest((), query)),
            )
            for title, text, sli, query, shades in dials
        ),
        make.stat(
            About(
                "Throughput now",
                "Bits a second that all chosen NATs send from all interfaces.",
                unit="bps",
                shows=("M4",),
                size=(4, 6),
                base=BLUE,
            ),
            Line(total((), rate(series(network.TRANSMIT_BYTES), Span.RATE)) * 8),
        ),
    )


def _load(make: Maker, watched: Watched) -> tuple[Tile, ...]:
    return (
        *watched.tiles("NatCpuUsage", "NatConntrackUsage", "NatThroughputNearLimit"),
        make.graph(
            About(
                "CPU by use",
                "Share of one CPU's time by what it was spent on, of the CPU that spends most on it. Forwarding is "
                "softirq; one CPU that does nothing else hides in the average of all.",
                unit="percentunit",
                shows=("M3",),
            ),
            Line(
                highest(
                    Scope.NAT,
                    rate(series(host.CPU_SECONDS, mode="~user|system|irq|softirq|steal|iowait"), Span.RATE),
                    "mode",
                ),
                "{{nat}} {{mode}}",
            ),
        ),
        make.graph(
            About(
                "Entries of the translation table",
                "Entries and their limit. The kernel evicts unanswered flows at the limit, then drops new ones.",
                shows=("M2",),
            ),
            Line(highest(Scope.NAT, series(conntrack.ENTRIES)), f"{NAT} entries"),
            Line(highest(Scope.NAT, series(conntrack.LIMIT)), f"{NAT} limit"),
        ),
        parts.throughput(make, (8, 8)),
        *watched.tiles("NatPortSaturation", "NatAddedLatency"),
        make.graph(
            About(
                "Packets",
                "Packets a second that each interface receives and sends.",
                unit="pps",
                shows=("M4",),
            ),
            Line(total(Scope.NAT, rate(series(network.RECEIVE_PACKETS), Span.RATE), "device"), "{{nat}} {{device}} in"),
            Line(
                total(Scope.NAT, rate(series(network.TRANSMIT_PACKETS), Span.RATE), "device"), "{{nat}} {{device}} out"
            ),
        ),
    )


def _loss(make: Maker, watched: Watched) -> tuple[Tile, ...]:
    return (
        parts.drops(make, (16, 9)),
        parts.new_flow_drops(make, (8, 9)),
        make.graph(
            About(
                "Resets",
                "TCP resets a second that were forwarded, out from private hosts and in towards them. Many at once "
                "after a restart mean that the translations were lost.",
                unit="cps",
                shows=("M6",),
            ),
            Line(total(Scope.NAT, rate(series(accounting.RESETS), Span.RATE), "direction"), "{{nat}} {{direction}}"),
        ),
        make.graph(
            About(
                "Firewall denies",
                "Packets a second that firewall rules dropped or rejected, the ten busiest rules by their comments.",
                unit="pps",
                shows=("M5",),
            ),
            Line(most(10, total(Scope.NAT, rate(series(firewall.DENIES), Span.RATE), "rule")), "{{nat}} {{rule}}"),
        ),
        *watched.tiles("NatPacketDrops"),
    )


def _changes(make: Maker) -> tuple[Tile, ...]:
    return (
        make.graph(
            About(
                "Scaling events",
                "Events recorded on the NATs by `natobs event record`, by kind and reason.",
                shows=("M10",),
            ),
            Line(
                total(Scope.CLUSTER, increase(series(operations.SCALING_EVENTS), Span.RATE), "kind", "reason"),
                "{{nat_cluster}} {{kind}}: {{reason}}",
            ),
            bars=True,
        ),
        make.graph(
            About(
                "Routes, addresses and links changed",
                "Changes that the kernel told of, by kind or interface.",
                shows=("M10",),
            ),
            Line(
                total(Scope.NAT, increase(series(routing.ROUTE_CHANGES), Span.RATE), "kind"), "{{nat}} route {{kind}}"
            ),
            Line(
                total(Scope.NAT, increase(series(routing.ADDRESS_CHANGES), Span.RATE), "device"),
                "{{nat}} address of {{device}}",
            ),
            Line(
                total(Scope.NAT, increase(series(routing.LINK_CHANGES), Span.RATE), "device"), "{{nat}} link {{device}}"
            ),
            bars=True,
        ),
        make.graph(
            About(
                "NATs in the fleet",
                "How many agents of each cluster are known to Prometheus; steps are scaling.",
                shows=("M10",),
            ),
            Line(count(Scope.CLUSTER, highest(Scope.NAT, series(host.BOOT_TIME))), "{{nat_cluster}}"),
        ),
        make.stat(
            About(
                "Running since",
                "How long ago each NAT was started. A start loses the state of all connections.",
                unit="s",
                shows=("M10",),
                size=(12, 6),
                base=ORANGE,
                levels=((600, GREEN),),
            ),
            Line(NOW - highest(Scope.NAT, series(host.BOOT_TIME)), NAT),
        ),
        make.states(
            About(
                "Maintenance",
                "Blue while maintenance is declared, and for ten minutes after: the NAT's alerts are silent. Empty "
                "when none was ever declared.",
                shows=("M10",),
                size=(12, 6),
                levels=((1.0, BLUE),),
            ),
            Line(MAINTENANCE.series, NAT),
        ),
    )
