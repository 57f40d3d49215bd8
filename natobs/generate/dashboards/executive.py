"""The executive dashboard: are the promises kept, what does it cost, what went wrong."""

from natobs.catalogue import naming
from natobs.catalogue.metrics import operations
from natobs.catalogue.naming import DAY, FIRING
from natobs.catalogue.promql import Query, Scope, Span, aggregate, count, highest, increase, lowest, over, series, total
from natobs.catalogue.values import ADDED, BUSY, LOAD, QUICK, SATURATION, USAGE
from natobs.generate.dashboards import cost
from natobs.generate.dashboards.frame import Board
from natobs.generate.dashboards.layout import Row, Tile
from natobs.generate.dashboards.panels import BLUE, GREEN, ORANGE, RED, YELLOW, About, Column, Line, Maker
from natobs.generate.dashboards.watched import worst_burns
from natobs.generate.settings import Plan

_BUDGET_LEFT = ((0.0, ORANGE), (0.25, YELLOW), (0.5, GREEN))
_NAMES = ("sloth_slo",)
_INDICATORS = tuple(f"M{number}" for number in range(1, 10))
_PAGES = over("max_over_time", series(FIRING, alertstate="firing", natobs_action="page"), Span.SHOWN)


def board(plan: Plan, make: Maker) -> Board:
    """For whoever answers for the service."""
    return Board(
        naming.EXECUTIVE,
        "Are the promises about outbound connectivity kept, what does the egress cost, and what went wrong?",
        "7d",
        (
            Row("Promises", _promises(plan, make)),
            Row("Availability and incidents", _incidents(make)),
            Row("Volume and cost", _cost(plan, make)),
            Row("Headroom", _headroom(make)),
            Row("How fast budgets are spent", worst_burns(plan.objectives, make), collapsed=True),
        ),
        refresh="5m",
    )


def _good(window: str, identity: str) -> Query:
    """Share of good events, of the worst subnet or NAT."""
    return Query("1") - aggregate("max", (), series(naming.ERROR_RATIO[window], sloth_id=identity))


def _promises(plan: Plan, make: Maker) -> tuple[Tile, ...]:
    left = lowest(_NAMES, series(naming.LEAST_BUDGET))
    promise = next((one.target for one in plan.objectives if one.id == "nat-outbound-success"), 0.999)
    return (
        make.stat(
            About(
                "Outbound success, 30 days",
                "Share of new connections from private subnets that succeeded at the first attempt, as probes saw it, "
                "in the subnet where it is lowest. Weighted by attempts; declared maintenance is left out.",
                unit="percentunit",
                shows=("M1",),
                size=(5, 10),
                base=RED,
                levels=((promise, GREEN),),
            ),
            Line(_good("30d", "nat-outbound-success")),
        ),
        make.stat(
            About(
                "Least budget left",
                "What is left of the error budget of 30 days, of the objective and the NAT or subnet that have least. "
                "Below zero the objective is missed.",
                unit="percentunit",
                shows=_INDICATORS,
                size=(5, 10),
                base=RED,
                levels=_BUDGET_LEFT,
            ),
            Line(aggregate("min", (), series(naming.BUDGET_REMAINING))),
        ),
        make.table(
            About(
                "Objectives",
                "Each objective with what was achieved in 30 days where it was worst, what is left of its error "
                "budget, and how many times as fast as it lasts the budget is being spent now.",
                shows=_INDICATORS,
                size=(14, 10),
            ),
            Column(
                Line(
                    highest(
                        ("sloth_slo", "sli"),
                        series(naming.OBJECTIVE).by_one("*", series(naming.SLO_INFO), naming.SLO_LABELS, ("sli",)),
                    ),
                    "Objective",
                ),
                "percentunit",
            ),
            Column(
                Line(Query("1") - highest(("sloth_slo", "sli"), series(naming.ERROR_RATIO["30d"])), "Achieved"),
                "percentunit",
            ),
            Column(
                Line(lowest(("sloth_slo", "sli"), series(naming.BUDGET_REMAINING)), "Budget left"),
                "percentunit",
                _BUDGET_LEFT,
                RED,
            ),
            Column(
                Line(highest(("sloth_slo", "sli"), series(naming.CURRENT_BURN)), "Burning now"),
                "short",
                ((1, YELLOW), (4, ORANGE), (14.4, RED)),
            ),
            sort_by="Burning now",
            keys=("sli", "sloth_slo"),
        ),
        make.graph(
            About(
                "Error budgets left",
                "Burn-down of the error budgets of 30 days, each of the NAT or subnet that has least of it.",
                unit="percentunit",
                shows=_INDICATORS,
                size=(24, 9),
                base=RED,
                levels=_BUDGET_LEFT,
            ),
            Line(left, "{{sloth_slo}}"),
        ),
    )


def _incidents(make: Maker) -> tuple[Tile, ...]:
    scope = ("alertname", *Scope.NAT.value)
    firing = series(FIRING, alertstate="firing", natobs_action="page")
    return (
        make.stat(
            About(
                "Availability",
                "Share of first attempts of probes that succeeded, over one, three and thirty days, of all subnets "
                "that are chosen the one where it is lowest.",
                unit="percentunit",
                shows=("M1",),
                size=(8, 7),
                base=RED,
                levels=((0.99, ORANGE), (0.999, GREEN)),
            ),
            *(Line(_good(window, "nat-outbound-success"), f"{window}") for window in ("1d", "3d", "30d")),
        ),
        make.stat(
            About(
                "Pages",
                "Alerts that woke somebody, in the time that is shown: kinds of alerts times NATs.",
                shows=("M1", "M2", "M8"),
                size=(4, 7),
                levels=((1, ORANGE), (5, RED)),
            ),
            Line(aggregate("count", (), count(scope, _PAGES))),
            empty="0",
        ),
        make.table(
            About(
                "Incidents",
                "Alerts that woke somebody, in the time that is shown, and how long they fired. Empty when there was "
                "none.",
                unit="s",
                size=(12, 7),
            ),
            Column(
                Line(total(scope, over("count_over_time", firing, Span.SHOWN)) * _interval(make), "Firing for"),
                "s",
                ((0.0, ORANGE), (3600.0, RED)),
                BLUE,
            ),
            sort_by="Firing for",
            keys=scope,
        ),
        make.graph(
            About(
                "Scaling events",
                "Events that were recorded on the NATs, by kind and reason. To and fro within an hour is a bad policy.",
                shows=("M10",),
                size=(12, 7),
            ),
            Line(
                total((), increase(series(operations.SCALING_EVENTS), Span.RATE), "kind", "reason"),
                "{{kind}}: {{reason}}",
            ),
            bars=True,
        ),
        make.graph(
            About(
                "Alerts that woke somebody",
                "How many of the alerts that page are firing, by name.",
                size=(12, 7),
                shows=("M1",),
            ),
            Line(count((), firing, "alertname"), "{{alertname}}"),
            bars=True,
        ),
    )


def _interval(make: Maker) -> float:
    """Seconds from one evaluation of alerts to the next."""
    return QUICK / make.rendering.scale


def _cost(plan: Plan, make: Maker) -> tuple[Tile, ...]:
    prices = plan.fleet.prices
    tiers = ", ".join(
        f"{tier.per_gb:g} {prices.currency} a GB" + (f" up to {tier.up_to_gb:g} GB" if tier.up_to_gb else " beyond")
        for tier in prices.tiers
    )
    estimate = "An estimate: the bill also depends on where the bytes went."
    return (
        make.stat(
            About(
                "Egress of the last 7 days",
                "Bytes that left through the NATs for the outside, whatever time is shown. Known up to the last full "
                "hour.",
                unit="decbytes",
                shows=("M4",),
                size=(6, 7),
                base=BLUE,
            ),
            Line(cost.volume(cost.WEEK)),
        ),
        make.stat(
            About(
                "Cost of the last 7 days",
                f"Seven thirtieths of what a month like this week costs, by the price tiers of the fleet's file: "
                f"{tiers}. {estimate}",
                unit=cost.unit(prices),
                shows=("M4",),
                size=(6, 7),
                base=BLUE,
            ),
            Line(cost.monthly(prices) * (cost.WEEK / cost.MONTH)),
        ),
        make.stat(
            About(
                "Cost of a month like this week",
                f"By the price tiers of the fleet's file: {tiers}. {estimate}",
                unit=cost.unit(prices),
                shows=("M4",),
                size=(6, 7),
                base=BLUE,
            ),
            Line(cost.monthly(prices)),
        ),
        make.bars(
            About(
                "Egress of 7 days by cluster",
                "Which cluster's bytes are paid for.",
                unit="decbytes",
                shows=("M4",),
                size=(6, 7),
                base=BLUE,
            ),
            Line(cost.volume(cost.WEEK, "nat_cluster"), "{{nat_cluster}}"),
            highest=None,
        ),
        make.graph(
            About(
                "Egress a day",
                "Bytes of the 24 hours before each bar, by cluster.",
                unit="decbytes",
                shows=("M4",),
                size=(24, 8),
            ),
            Line(cost.volume(DAY, "nat_cluster"), "{{nat_cluster}}"),
            stacked=True,
            step=DAY,
            bars=True,
        ),
    )


def _headroom(make: Maker) -> tuple[Tile, ...]:
    parts: dict[str, Query] = {
        "translation table (M2)": USAGE.series,
        "CPU (M3)": BUSY.series,
        "interfaces (M4)": LOAD.series,
        "public ports (M8)": SATURATION.series,
    }
    return (
        make.bars(
            About(
                "Fullest of each",
                "The NAT that comes closest to a limit: its translation table, its CPUs, the peaks of its interfaces, "
                "and the ports that its fullest destination takes. A larger fleet moves them all but the last.",
                unit="percentunit",
                shows=("M2", "M3", "M4", "M8"),
                size=(12, 8),
                levels=((0.6, YELLOW), (0.8, RED)),
            ),
            *(Line(aggregate("max", (), query), name) for name, query in parts.items()),
        ),
        make.graph(
            About(
                "Added latency",
                "Time that a NAT adds to a round trip, the slowest of each cluster. The objective is 20 ms.",
                unit="s",
                shows=("M7",),
                size=(12, 8),
                levels=((0.010, ORANGE), (0.020, RED)),
            ),
            Line(highest((), ADDED.series, "nat_cluster"), "{{nat_cluster}}"),
        ),
    )
