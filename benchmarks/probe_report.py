"""Figures of ``make bench-probes`` as tables, and beside the goals: met, or missed by how much.

Knows goals and columns; refuses to know how anything was measured.
"""

import sys
from dataclasses import dataclass
from statistics import median
from typing import Self

from rich.console import Console
from rich.table import Table

from benchmarks.probe_load import Pace, Size, Together
from benchmarks.processes import quantile

_MICRO = 1e6
_GOAL_P50 = 10.0
_GOAL_P99 = {"icmp": 25.0, "udp": 25.0, "tcp": 80.0}
_GOAL_ALONE = 0.4
_GOAL_TOGETHER = 0.1
_GOAL_RATE = 2000
_NEARLY = 0.98
"""The measuring ends within a beat of the plan."""
_TOGETHER = (10, 50)


@dataclass(frozen=True)
class Row:
    """One prober under one load; times in microseconds.

    Args:
        name: of the prober.
        load: idle or busy.
        protocol: what it sends.
        sent: probes that it reported on.
        compared: of these, those with a round trip and its truth.
        bias: median of reported minus true; None without any.
        p50: of the error's absolute value, as the next two.
        p95: of the same.
        p99: of the same.
        truth: median of the true round trip.
        cpu: of a probe, median over the batches.
    """

    name: str
    load: str
    protocol: str
    sent: int
    compared: int
    bias: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    truth: float | None
    cpu: float

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - the fields of one series, once
        cls,
        name: str,
        load: str,
        protocol: str,
        errors: list[float],
        truths: list[float],
        costs: list[float],
        sent: int,
    ) -> Self:
        """Summarise; everything given is in seconds."""
        cpu = _MICRO * median(costs)
        if not errors:
            return cls(name, load, protocol, sent, 0, None, None, None, None, None, cpu)
        sizes = [_MICRO * abs(error) for error in errors]
        p50, p95, p99 = (quantile(sizes, share) for share in (0.5, 0.95, 0.99))
        bias, truth = _MICRO * median(errors), _MICRO * median(truths)
        return cls(name, load, protocol, sent, len(errors), bias, p50, p95, p99, truth, cpu)


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Args:
        probes: asked of each.
        rows: truth and cost.
        missing: peers that could not be run, and why.
        capture_missed: packets that the capture had no room for.
        together: CPU of what falls due together.
        paces: rates on one core.
        sizes: memory of the service.
    """

    probes: int
    rows: list[Row]
    missing: list[str]
    capture_missed: int
    together: list[Together]
    paces: list[Pace]
    sizes: list[Size]


def show(results: Results) -> None:
    """Print all tables."""
    console = Console(width=130)
    console.print(_accuracy(results))
    for line in results.missing:
        sys.stdout.write(f"not compared: {line}\n")
    sys.stdout.write(f"packets that the capture missed: {results.capture_missed}\n")
    sys.stdout.write("blackbox tcp reports the whole probe's duration; it measures no SYN to SYN/ACK\n")
    sys.stdout.write("CPU: ping, fping, irtt without their start; blackbox with its HTTP; natobs with its counters\n")
    console.print(_together(results.together))
    console.print(_paces(results.paces))
    console.print(_sizes(results.sizes))
    console.print(_goals(results))


def _accuracy(results: Results) -> Table:
    table = Table(title=f"{results.probes} probes each, in turns, through the NAT; error against the capture, µs")
    for column in ("prober", "load", "compared", "true RTT", "bias", "p50", "p95", "p99", "CPU µs", "of blackbox's"):
        table.add_column(column, justify="left" if column in {"prober", "load"} else "right")
    for row in results.rows:
        figures = ["-" if one is None else f"{one:.1f}" for one in (row.truth, row.bias, row.p50, row.p95, row.p99)]
        ratio = _ratio(row.cpu, _blackbox(results, row.protocol, row.load))
        table.add_row(row.name, row.load, f"{row.compared}/{row.sent}", *figures, f"{row.cpu:.0f}", ratio)
    return table


def _together(rows: list[Together]) -> Table:
    table = Table(title="CPU of a probe when several fall due together, µs (blackbox: as many requests at once)")
    for column in ("prober", "together", "CPU µs"):
        table.add_column(column, justify="left" if column == "prober" else "right")
    for row in rows:
        table.add_row(row.name, str(row.together), f"{row.cpu_us:.0f}")
    return table


def _paces(rows: list[Pace]) -> Table:
    table = Table(title="natobs: highest rate that one core kept (lag p99 < 100 ms, no beat left out, < 0.1 % failed)")
    for column in ("kind", "targets", "probes/s", "lag p99 ms", "of the core", "failed", "not kept"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for row in rows:
        slipped = "-" if row.slipped_at is None else f"{row.slipped_at}: {row.cause}"
        figures = [f"{row.rate:.0f}", f"{1e3 * row.lag_p99:.1f}", f"{row.cpu_share:.0%}", str(row.failed), slipped]
        table.add_row(row.kind, str(row.targets), *figures)
    return table


def _sizes(rows: list[Size]) -> Table:
    table = Table(title="natobs probe, the whole service, icmp")
    for column in ("targets", "resident MB", "CPU µs a probe"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(str(row.targets), f"{row.resident_mb:.1f}", f"{row.cpu_us:.0f}")
    return table


def _goals(results: Results) -> Table:
    table = Table(title="goals")
    for column in ("what", "goal", "measured", "result"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in results.rows:
        if not row.name.startswith("natobs"):
            continue
        if row.protocol != "tcp":
            _at_most(table, f"{row.name}, {row.load}: error p50, µs", _GOAL_P50, row.p50)
        _at_most(table, f"{row.name}, {row.load}: error p99, µs", _GOAL_P99[row.protocol], row.p99)
    for protocol in _GOAL_P99:
        alone = _blackbox(results, protocol, "idle")
        mine = next((row.cpu for row in results.rows if (row.name, row.load) == (f"natobs {protocol}", "idle")), None)
        _at_most(table, f"{protocol}: CPU alone, of blackbox's", _GOAL_ALONE, _share(mine, alone))
        for count in _TOGETHER:
            ours = _together_cpu(results, f"natobs {protocol}", count)
            theirs = _together_cpu(results, f"blackbox {'tcp' if protocol == 'tcp' else 'icmp'}", count)
            what = f"{protocol}: CPU, {count} together, of blackbox's"
            _at_most(table, f"{what} alone", _GOAL_TOGETHER, _share(ours, alone))
            _at_most(table, f"{what} {count}", _GOAL_TOGETHER, _share(ours, theirs))
    for pace in results.paces:
        met = "met" if pace.rate >= _GOAL_RATE * _NEARLY else f"missed by {_GOAL_RATE - pace.rate:.0f}"
        what = f"{pace.kind}, {pace.targets} targets: probes/s on one core"
        table.add_row(what, f">= {_GOAL_RATE}", f"{pace.rate:.0f}", met)
    return table


def _at_most(table: Table, what: str, goal: float, value: float | None) -> None:
    if value is None:
        table.add_row(what, f"<= {goal:g}", "-", "not measured")
        return
    digits = 3 if goal < 1 else 1
    result = "met" if value <= goal else f"missed by {value - goal:.{digits}f}"
    table.add_row(what, f"<= {goal:g}", f"{value:.{digits}f}", result)


def _blackbox(results: Results, protocol: str, load: str) -> float | None:
    """CPU of blackbox_exporter's probe of the same protocol; it has no UDP, so there its ICMP."""
    name = f"blackbox {'tcp' if protocol == 'tcp' else 'icmp'}"
    return next((row.cpu for row in results.rows if (row.name, row.load) == (name, load)), None)


def _together_cpu(results: Results, name: str, count: int) -> float | None:
    return next((row.cpu_us for row in results.together if (row.name, row.together) == (name, count)), None)


def _share(mine: float | None, theirs: float | None) -> float | None:
    return mine / theirs if mine is not None and theirs else None


def _ratio(mine: float, theirs: float | None) -> str:
    share = _share(mine, theirs)
    return "-" if share is None else f"{share:.2f}"
