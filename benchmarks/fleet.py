"""``make bench-fleet``: what rules and dashboards cost one Prometheus, by the number of NATs that it watches.

A real Prometheus (Debian's) scrapes simulated NATs, made of one recorded scrape
of the reference NAT (:mod:`benchmarks.fleet_record`), with all rules of
``alerts/`` loaded and the past written that they and the panels of
``dashboards/`` read. Panels are asked for 24 h: dashboards of the fleet with
every cluster chosen, the others with one of four NATs.
"""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.table import Table

from benchmarks.fleet_history import describe
from benchmarks.fleet_measure import Result, measure, subject
from benchmarks.fleet_victoria import check
from natobs.lab.launch import environment, require

_SIZES = (10, 100, 1000)
_QUICK = (10, 100)
_SECONDS, _QUICK_SECONDS = 330.0, 120.0
_LARGEST = 1000
_GROUP_SECONDS = _PANEL_SECONDS = 1.0
_SERIES = 700
_LINEAR = 1.25  # times the growth of the fleet: what is noise
_NOISE_SECONDS = 0.05
_BUSY = 0.1
_STDERR = Console(stderr=True)


def missed(results: list[Result]) -> list[str]:
    """Name the goals that were missed, with figures."""
    found = []
    last = results[-1]
    if last.scraped > _SERIES:
        found.append(f"series: {last.scraped:.0f} for each NAT, the goal is {_SERIES}")
    if last.nats >= _LARGEST:
        slow = [
            (f"group {group.name}", group.usual, group.cpu) for group in last.groups if group.usual > _GROUP_SECONDS
        ]
        slow += [
            (f"{name}, panel {timed.panel.title}", timed.seconds, timed.cpu)
            for name, timed in last.panels.items()
            if timed.seconds > _PANEL_SECONDS
        ]
        found += [
            f"{name}: {seconds:.2f} s at {last.nats} NATs ({cpu:.2f} s of CPU), the goal is 1 s"
            for name, seconds, cpu in slow
        ]
    for one, other in pairwise(results):
        before = {group.name: group.cpu for group in one.groups}
        for group in other.groups:
            limit = max(before[group.name], _NOISE_SECONDS) * other.nats / one.nats * _LINEAR
            if group.cpu > limit:
                found.append(
                    f"group {group.name}: from {before[group.name]:.3f} s of CPU at {one.nats} NATs to "
                    f"{group.cpu:.3f} s at {other.nats}, more than linear"
                )
    found += [
        f"a quiet machine: others took {result.busy:.0%} of the CPUs at {result.nats} NATs, and times are too long"
        for result in results
        if result.busy > _BUSY
    ]
    found += [f"a panel got no answer at {result.nats} NATs: {text}" for result in results for text in result.failed]
    found += [f"{result.late:.1%} of scrapes failed at {result.nats} NATs" for result in results if result.late > 0]
    return found


def table(results: list[Result]) -> Table:
    """Give the figures, a column for each size."""
    shown = Table("", *(f"{result.nats} NATs" for result in results), title="Prometheus by the size of the fleet")
    for column in shown.columns[1:]:
        column.justify = "right"

    def row(name: str, *cells: str) -> None:
        shown.add_row(name, *cells)

    row("series scraped, for each NAT", *(f"{result.scraped:.0f}" for result in results))
    row("series recorded, for each NAT", *(f"{result.recorded:.1f}" for result in results))
    row("samples of the past", *(f"{result.samples / 1e6:.1f} M" for result in results))
    row("seconds to write them", *(f"{result.backfill:.0f}" for result in results))
    row("resident memory, at most", *(f"{result.peak / 1e9:.2f} GB" for result in results))
    row("CPU of Prometheus", *(f"{result.cpu:.1%}" for result in results))
    row("CPUs taken by others", *(f"{result.busy:.0%}" for result in results))
    row("CPU of the simulation", *(f"{result.simulation:.1%}" for result in results))
    shown.add_section()
    for place, group in enumerate(results[0].groups):
        mark = " *" if any(result.groups[place].asked for result in results) else ""
        row(
            f"{group.name}, {group.rules} rules{mark}",
            *(
                f"{group.usual:.3f} / {group.worst:.3f} / {group.cpu:.2f} s"
                for group in (result.groups[place] for result in results)
            ),
        )
    shown.add_section()
    for name in results[0].panels:
        row(
            f"{name}, slowest panel",
            *(
                f"{timed.panel.title}: {timed.seconds:.3f} / {timed.cpu:.2f} s"
                for timed in (result.panels[name] for result in results)
            ),
        )
    shown.caption = (
        "Evaluations of each group: median / longest / CPU time; panels: median / CPU time. CPU time is measured when "
        "nothing else is done. * asked for through the API where the run was too short for one."
    )
    return shown


def _say(status: Status, nats: int, line: str) -> None:
    status.update(f"{nats} NATs: {line}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nats", type=int, nargs="+", help=f"sizes of the fleet, rising (default: {_SIZES})")
    parser.add_argument("--quick", action="store_true", help="small fleets, for a short time")
    parser.add_argument("--json", type=Path, help="write all figures there too")
    arguments = parser.parse_args()
    sizes = arguments.nats or (_QUICK if arguments.quick else _SIZES)
    for number in (signal.SIGINT, signal.SIGTERM):  # ended in order: what is on disk and what runs ends too
        signal.signal(number, signal.default_int_handler)
    os.environ["PATH"] = environment()["PATH"]  # with what make programs fetched
    require("prometheus", "promtool", "vmalert", "victoria-metrics")
    out = Console()
    with _STDERR.status("learning what the rules record") as status:
        what = subject()
        results = []
        for nats in sizes:
            seconds = _QUICK_SECONDS if arguments.quick else _SECONDS
            results.append(measure(what, nats, seconds, partial(_say, status, nats)))
        status.update("VictoriaMetrics")
        victoria = check(min(sizes))
    for line in describe(what.needs):
        out.print(f"past of {line}", markup=False, highlight=False)
    out.print(table(results))
    out.print(victoria, markup=False, highlight=False)
    for name, took in results[-1].slowest:
        out.print(f"slow rule at {results[-1].nats} NATs: {name}: {took:.2f} s", markup=False, highlight=False)
    for line in missed(results):
        out.print(f"goal missed: {line}", markup=False, highlight=False)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1), "utf-8")
    sys.exit(0)


if __name__ == "__main__":
    main()
