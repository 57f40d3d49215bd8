"""Figures of ``make bench-added`` as tables, and beside the goals: met, or missed by how much.

Knows goals and columns; refuses to know how anything was measured.
"""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.processes import quantile
from natobs.probes.paired import Difference

_MICRO = 1e6
_GOAL_COVERAGE = 0.9
_GOAL_RESIDENCE = 10.0
_GOAL_MISSING = 0.001


@dataclass(frozen=True)
class Residence:
    """One direction through the NAT; times in seconds.

    Args:
        way: ``out`` or ``back``.
        found: by the taps, of each packet.
        truth: by the neighbours, of each packet.
    """

    way: str
    found: list[float]
    truth: list[float]

    def off(self, share: float) -> float:
        """Microseconds by which the taps' quantile is off."""
        return _MICRO * (quantile(self.found, share) - quantile(self.truth, share))

    @property
    def missing(self) -> float:
        """The share of packets that the taps have no time of."""
        return max(0.0, 1 - len(self.found) / len(self.truth))


@dataclass(frozen=True)
class Row:
    """One scenario; times in seconds.

    Args:
        name: of the scenario.
        pairs: how many were sent.
        unmeasured: those without a round trip on one side.
        truth_p50: median of what the NAT added to a packet.
        truth_p99: the same, of one packet in a hundred.
        latest: median of the same, over the pairs of ``difference``.
        difference: what natobs says, of the latest 1000 pairs.
        windows: for each window, whether its interval holds the truth.
        access: median round trip to the NAT itself.
        residence: both ways.
    """

    name: str
    pairs: int
    unmeasured: int
    truth_p50: float
    truth_p99: float
    latest: float
    difference: Difference
    windows: list[bool]
    access: float
    residence: list[Residence]

    @property
    def coverage(self) -> float:
        """The share of windows whose interval holds the truth."""
        return sum(self.windows) / len(self.windows)

    @property
    def covers(self) -> bool:
        """Whether the interval of the latest 1000 pairs does."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and low <= self.latest <= high


def show(rows: list[Row], window_pairs: int) -> None:
    """Print all tables."""
    console = Console(width=130)
    console.print(_added(rows, window_pairs))
    console.print(_residence(rows))
    console.print(_goals(rows, window_pairs))


def _added(rows: list[Row], window_pairs: int) -> Table:
    table = Table(title="time that the NAT adds to a round trip, µs: captures, and the paired difference")
    table.add_column("scenario")
    columns = ("pairs", "true p50", "true p99", "median", "interval", "truth", "within", f"windows of {window_pairs}")
    for column in (*columns, "access"):
        table.add_column(column, justify="right")
    for row in rows:
        found = row.difference
        interval = "-" if found.low is None or found.high is None else f"{_us(found.low)} to {_us(found.high)}"
        table.add_row(
            row.name,
            str(row.pairs - row.unmeasured),
            *(_us(one) for one in (row.truth_p50, row.truth_p99, found.median)),
            interval,
            _us(row.latest),
            "yes" if row.covers else "no",
            f"{sum(row.windows)}/{len(row.windows)}",
            _us(row.access),
        )
    return table


def _residence(rows: list[Row]) -> Table:
    table = Table(title="time inside the NAT, µs: the taps, and from cable to cable")
    for column in ("scenario", "way", "p50", "true p50", "p99", "true p99", "packets", "missing"):
        table.add_column(column, justify="left" if column in {"scenario", "way"} else "right")
    for row in rows:
        for one in row.residence:
            figures = [_us(quantile(values, share)) for share in (0.5, 0.99) for values in (one.found, one.truth)]
            table.add_row(row.name, one.way, *figures, str(len(one.truth)), f"{one.missing:.2%}")
    return table


def _goals(rows: list[Row], window_pairs: int) -> Table:
    table = Table(title="goals")
    for column in ("what", "goal", "measured", "result"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in rows:
        met = "met" if row.coverage >= _GOAL_COVERAGE else f"missed by {_GOAL_COVERAGE - row.coverage:.0%}"
        what = f"{row.name}: windows of {window_pairs} pairs whose interval holds the truth"
        table.add_row(what, f">= {_GOAL_COVERAGE:.0%}", f"{row.coverage:.0%}", met)
    for row in rows:
        for one in row.residence:
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                off = abs(one.off(share))
                met = "met" if off <= _GOAL_RESIDENCE else f"missed by {off - _GOAL_RESIDENCE:.1f}"
                table.add_row(
                    f"{row.name}: residence {one.way}, {name} off, µs", f"<= {_GOAL_RESIDENCE:g}", f"{off:.1f}", met
                )
    for row in rows:
        missing = max(one.missing for one in row.residence)
        met = "met" if missing <= _GOAL_MISSING else f"missed by {missing - _GOAL_MISSING:.2%}"
        table.add_row(f"{row.name}: packets without a residence time", f"<= {_GOAL_MISSING:.1%}", f"{missing:.2%}", met)
    return table


def _us(seconds: float) -> str:
    return f"{_MICRO * seconds:.1f}"
