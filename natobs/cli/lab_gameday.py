"""``natobs lab gameday`` and ``natobs lab soak``: what reaches the pager when a NAT breaks, and when it does not."""

import json
import random
import signal
import sys
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from natobs.cli.consoles import console
from natobs.cli.main import EXIT_BAD
from natobs.cli.parameters import write_text
from natobs.errors import LabError
from natobs.lab.faults.base import Fault
from natobs.lab.faults.cpu import refuse_busy
from natobs.lab.faults.registry import ALL, APART, find
from natobs.lab.gameday.model import Outcome
from natobs.lab.topology import TOPOLOGIES

if TYPE_CHECKING:  # imported where it is used
    from natobs.lab.gameday.setting import Setting

_scale = click.option(
    "--time-scale",
    type=click.FloatRange(1, 30),  # the shortest windows of rules are half a minute, and a scrape takes a second
    default=15.0,
    show_default=True,
    help="Divide all durations of rules and intervals.",
)
_topology = click.option(
    "--topology", type=click.Choice(list(TOPOLOGIES)), default="two-armed", show_default=True, help="Of each NAT."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
_any_load = click.option(
    "--any-load",
    is_flag=True,
    help="A busy machine will do: alerts about CPU are switched off, but for those that must arrive.",
)
_HELP = """Break a NAT in every way, and see what reaches the pager.

Each FAULT gets a fresh lab with agents, probers, Prometheus, Alertmanager and
the rules of natobs, where it must raise exactly its alert, and nothing when it
is healed. Without FAULT all of them are played, which takes about two minutes
each. Progress goes to standard error. The exit status is 1 when an alert is
missing or came twice, or one came that nobody expected.
"""


@click.command(help=_HELP, epilog="Example: natobs lab gameday table-full ports-exhausted --html gameday.html")
@click.argument("fault", nargs=-1)
@click.option("--quick", is_flag=True, help=f"Only {', '.join(one.name for one in APART)}: alike for a client.")
@_topology
@_scale
@_any_load
@click.option(
    "--jobs",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Faults at a time; those about CPU come last, alone, and alerts about CPU are switched off for the others.",
)
@_json
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a report with pictures, too.")
def gameday(  # noqa: PLR0913  one argument for each option
    fault: tuple[str, ...],
    topology: str,
    time_scale: float,
    jobs: int,
    html: Path | None,
    *,
    quick: bool,
    any_load: bool,
    as_json: bool,
) -> None:
    """Break a NAT in every way, and see what reaches the pager."""
    from natobs.lab.gameday import report  # noqa: PLC0415  only these commands need it
    from natobs.lab.gameday.setting import Setting  # noqa: PLC0415  the same

    if quick and fault:
        raise click.UsageError("either --quick or names of faults")
    kinds = [find(name) for name in fault] or list(APART if quick else ALL)
    arms = TOPOLOGIES[topology]("any").nat.arms
    setting = Setting(TOPOLOGIES[topology], topology, time_scale, any_load=any_load)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end: like Ctrl-C
    kinds = [kind for kind in kinds if arms in kind.arms]
    found: dict[str, Outcome] = {}
    outcomes: list[Outcome] = []
    if html is not None:  # now, and not after the first fault, it is told that it cannot be written
        write_text(html, report.page(outcomes), "--html")
    with closing(_played(kinds, setting, jobs)) as playing:
        for number, (kind, came) in enumerate(playing, 1):
            if isinstance(came, LabError):
                verdict = f"could not be played: {came}"
            else:
                found[kind.name] = came
                outcomes = [found[one.name] for one in kinds if one.name in found]
                false = ", ".join(sorted({one.alert for one in came.false}))
                verdict = "as it must be" if came.passed else "NOT as it must be"
                verdict += f"; nobody expected {false}" if false else ""
                again = ", ".join(one.alert for one in came.again)
                verdict += f"; came again when it was over: {again}" if again else ""
            _progress(f"{number} of {len(kinds)}: {kind.name}: {verdict}")
            if html is not None:
                write_text(html, report.page(outcomes), "--html")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(outcomes)).decode())
    else:
        show(outcomes)
    sys.exit(0 if len(outcomes) == len(kinds) and all(outcome.passed for outcome in outcomes) else EXIT_BAD)


def _played(
    kinds: list[type[Fault]], setting: "Setting", jobs: int
) -> Generator[tuple[type[Fault], Outcome | LabError]]:
    """Play faults, and give what came of each as soon as it is known: those that need the machine's CPU last."""
    from natobs.lab.gameday import together  # noqa: PLC0415  only this command needs it
    from natobs.lab.gameday.day import Play  # noqa: PLC0415  the same

    beside = [kind for kind in kinds if jobs > 1 and not together.alone(kind)]
    yield from together.Together(jobs, setting, _progress).outcomes(beside)
    for kind in [kind for kind in kinds if kind not in beside]:
        _progress(f"{kind.name}: {kind.title}")
        try:
            yield kind, Play(kind, setting, _progress).outcome()
        except LabError as error:
            yield kind, error


@click.command(epilog="Example: natobs lab soak --minutes 15")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), default=15.0, show_default=True, help="How long."
)
@_topology
@_scale
@_any_load
@_json
def soak(minutes: float, topology: str, time_scale: float, *, any_load: bool, as_json: bool) -> None:
    """Make ordinary noise, of which nobody must be told.

    Bursts of connections, short spikes of CPU, single lost packets, a refused
    destination. The exit status is 1 when anything reached the pager.
    """
    from natobs.lab.gameday.setting import ABOUT_CPU, Setting  # noqa: PLC0415  only these commands need it
    from natobs.lab.gameday.soak import soak as soaking  # noqa: PLC0415  the same

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end: like Ctrl-C
    if not any_load:
        refuse_busy("a soak")
    setting = Setting(TOPOLOGIES[topology], topology, time_scale).without(ABOUT_CPU if any_load else ())
    told = soaking(minutes * 60, setting, _progress, rng=random.Random())  # noqa: S311  noise, not secrets
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(one) for one in told], indent=2))
    else:
        for one in told:
            click.echo(f"{one.alert} ({one.action}) after {one.seconds:.0f} s: {one.labels}")
        click.echo(f"{minutes:g} minutes of noise, {len(told)} alerts told")
    sys.exit(EXIT_BAD if told else 0)


def _progress(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


def show(outcomes: list[Outcome]) -> None:
    """Print the table: of Markdown where it is not for a terminal, to paste it."""
    from rich import box  # noqa: PLC0415  only where a person reads
    from rich.table import Table  # noqa: PLC0415  the same

    from natobs.lab.gameday import report  # noqa: PLC0415  only these commands need it

    table = Table(*report.HEADER, box=box.HEAVY_HEAD if sys.stdout.isatty() else box.MARKDOWN)
    for row in report.rows(outcomes):
        table.add_row(*row)
    out = console()
    out.print(table)
    out.print(report.summary(outcomes))
