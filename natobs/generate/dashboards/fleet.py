"""The fleet dashboard: all clusters and NATs at a glance, worst first."""

from natobs.catalogue import naming
from natobs.catalogue.idioms import most
from natobs.catalogue.metrics import host, network
from natobs.catalogue.naming import FIRING, UP
from natobs.catalogue.objectives import TIERS
from natobs.catalogue.promql import Scope, Span, aggregate, count, highest, lowest, rate, series, total
from natobs.catalogue.values import ADDED, BUSY, LOAD, LOST, MAINTENANCE, NAT_FAILING, PACKETS, SATURATION, USAGE
from natobs.generate.dashboards import parts
from natobs.generate.dashboards.frame import Board
from natobs.generate.dashboards.layout import Row, Tile
from natobs.generate.dashboards.panels import BLUE, GREEN, ORANGE, RED, YELLOW, About, Column, Level, Line, Maker
from natobs.generate.settings import Plan

_BURNING: tuple[Level, ...] = ((1, YELLOW), (4, ORANGE), (TIERS[0].factor, RED))
_SHOWN = 10
"""Curves of the worst: of a thousand nobody sees one."""
_PAGING = series(FIRING, alertstate="firing", natobs_action="page")


def board(plan: Plan, make: Maker) -> Board:
    """For whoever has many NATs."""
    return Board(
        naming.FLEET,
        "All clusters and NATs at a glance, worst first; a click leads to the dashboards that say more.",
        "1h",
        (
            Row("Clusters", (_clusters(make), parts.firing(make, (12, 9)))),
            Row("NATs", (_nats(make),)),
            Row("Over time", _over_time(make)),
        ),
    )


def _clusters(make: Maker) -> Tile:
    scope = Scope.CLUSTER
    up = highest(Scope.NAT, series(UP, nat="~.+", subnet=""))
    return make.table(
        About(
            "Clusters",
            "Each cluster with its NATs, those that answer, how fast it burns its budgets, what is left of the "
            "scarcest, and what it sends.",
            shows=("M1", "M4", "M10"),
            size=(12, 9),
        ),
        Column(Line(highest(scope, series(naming.CURRENT_BURN)), "Burn rate"), "short", _BURNING),
        Column(Line(count(scope, up), "NATs")),
        Column(Line(aggregate("avg", scope, up), "Answering"), "percentunit", ((0.9, ORANGE), (1.0, GREEN)), RED),
        Column(
            Line(lowest(scope, series(naming.BUDGET_REMAINING)), "Budget left"),
            "percentunit",
            ((0.0, ORANGE), (0.25, GREEN)),
            RED,
        ),
        Column(Line(total(scope, rate(series(network.TRANSMIT_BYTES), Span.RATE)), "Sending"), "Bps"),
        sort_by="Burn rate",
        keys=make.rendering.labels(scope),
    )


def _nats(make: Maker) -> Tile:
    scope = Scope.NAT
    warm: tuple[Level, ...] = ((0.6, YELLOW), (0.8, ORANGE), (0.9, RED))
    return make.table(
        About(
            "NATs, worst first",
            "Each NAT by its strain: the worst of its values as a share of the threshold that pages somebody. At 1 it "
            "pages. A click on a name leads to its curves.",
            shows=tuple(f"M{number}" for number in range(1, 9)),
            size=(24, 12),
        ),
        Column(
            Line(series(naming.STRAIN), "Strain"), "percentunit", ((0.7, YELLOW), (0.9, ORANGE), (1.0, RED)), gauge=1
        ),
        Column(Line(count(scope, _PAGING), "Pages"), "short", ((1, RED),)),
        Column(Line(highest(scope, series(UP, subnet="")), "Answers"), "bool_yes_no", ((1, GREEN),), RED),
        Column(Line(NAT_FAILING.series, "Probes fail"), "percentunit", ((0.01, ORANGE), (0.5, RED))),
        Column(Line(BUSY.series, "CPU"), "percentunit", warm),
        Column(Line(USAGE.series, "Table"), "percentunit", warm),
        Column(Line(SATURATION.series, "Ports"), "percentunit", ((0.6, ORANGE), (0.8, RED))),
        Column(Line(LOAD.series, "Interfaces"), "percentunit", warm),
        Column(Line(LOST.series / PACKETS.series, "Drops"), "percentunit", ((0.001, ORANGE), (0.02, RED))),
        Column(Line(ADDED.series, "Adds"), "s", ((0.01, ORANGE), (0.02, RED))),
        Column(
            Line(lowest(scope, series(naming.BUDGET_REMAINING)), "Budget left"),
            "percentunit",
            ((0.0, ORANGE), (0.25, GREEN)),
            RED,
        ),
        Column(Line(MAINTENANCE.series, "Maintenance"), "bool_yes_no", ((1, BLUE),)),
        sort_by="Strain",
        keys=make.rendering.labels(scope),
    )


def _over_time(make: Maker) -> tuple[Tile, ...]:
    return (
        make.graph(
            About(
                "Strain",
                "How close NATs are to a page, the worst of their values as a share of the threshold; at each moment "
                "the ten that are closest.",
                unit="percentunit",
                shows=("M2", "M3", "M4", "M7", "M8"),
                size=(12, 9),
                levels=((1.0, RED),),
            ),
            Line(most(_SHOWN, series(naming.STRAIN)), parts.NAT),
        ),
        make.graph(
            About(
                "Size of the fleet",
                "NATs of each cluster whose agents answer; steps are scaling, to and fro is a bad policy.",
                shows=("M10",),
                size=(12, 9),
            ),
            Line(count(Scope.CLUSTER, highest(Scope.NAT, series(host.BOOT_TIME))), "{{nat_cluster}}"),
        ),
    )
