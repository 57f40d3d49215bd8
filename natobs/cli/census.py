"""``natobs census``: who fills the connection tracking table now, for a person or as JSON."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import click

from natobs.cli.main import EXIT_BAD
from natobs.collectors.flows import MOST_LISTED, ONE_THREAD, order_of
from natobs.config import Config, load
from natobs.errors import SetupError
from natobs.kernel.conntrack import read_usage
from natobs.kernel.flow_worker import Answer, carry_out
from natobs.kernel.live import LiveMachine

By = Literal["host", "destination", "tuple", "tenant"]

_WATCH_SECONDS = 5.0
_LARGE_TABLE = 100_000
"""Flows from which on a progress bar is worth its while: half a second."""

_HELP = """Count the flows in the connection tracking table, and show who has them.

Hosts, destinations and tenants by number of flows; tuples (SNAT address,
protocol, destination, port) by the share of ports that is taken. Needs
CAP_NET_ADMIN in the network namespace that it looks at.

The exit status is 0 when the whole table was seen, 1 when it could not be read
or changed too much meanwhile, 2 when the command line or the configuration is
wrong.
"""


@click.command(help=_HELP, epilog="Example: sudo natobs census --by tuple --top 20")
@click.option("--top", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Rows of each table.")
@click.option(
    "--by",
    type=click.Choice(["host", "destination", "tuple", "tenant"]),
    help="Show this table only; by default all of them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, everything, as docs/census.md describes it.")
@click.option(
    "--watch",
    type=click.FloatRange(0.5, 86_400),
    is_flag=False,
    flag_value=_WATCH_SECONDS,
    metavar="[SECONDS]",
    help="Look again every so often (5 s) until Ctrl-C; with --json a line for each look.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="As for `natobs agent`: inside prefixes, tenants, port ranges.",
)
@click.option("--worker", type=int, hidden=True, help="Work for an agent; descriptor of the lifeline.")
def command(  # noqa: PLR0913  one argument an option, as click passes them
    *,
    top: int,
    by: By | None,
    as_json: bool,
    watch: float | None,
    config_file: Path | None,
    worker: int | None,
) -> None:
    """Count the flows in the connection tracking table."""
    if worker is not None:
        from natobs.cli.census_worker import work  # noqa: PLC0415  of no use to a person

        work(worker)
        return
    config = load(config_file)
    if by == "tenant" and not config.census.tenants:
        raise click.UsageError("--by tenant needs tenants: [census.tenants.NAME] in the file that --config names")
    if not as_json and find_spec("rich") is None:
        raise SetupError("tables need the Python package rich; pip install 'natobs[probes]', or use --json")
    os.environ.update(ONE_THREAD)
    machine = LiveMachine()
    show = _json if as_json else _tables
    complete = False
    try:
        while True:
            start = time.monotonic()
            answer = _take(machine, config, max(top, MOST_LISTED), quiet=as_json and watch is not None)
            if watch is not None and not as_json and sys.stdout.isatty():
                click.clear()
            show(answer, config, top, by, watching=watch is not None)
            complete = answer.census.taking.complete
            if watch is None:
                break
            time.sleep(max(0.0, start + watch - time.monotonic()))
    except KeyboardInterrupt:
        click.echo(err=True)
    sys.exit(0 if complete else EXIT_BAD)


def _take(machine: LiveMachine, config: Config, listed: int, *, quiet: bool) -> Answer:
    order = order_of(config.census, config.nat, listed)
    with _progress(machine, quiet=quiet) as progress:
        return carry_out(order, machine, progress)


@contextmanager
def _progress(machine: LiveMachine, *, quiet: bool) -> Iterator[Callable[[int], object]]:
    """A bar on standard error for a large table, if that is a terminal."""
    if quiet or not sys.stderr.isatty() or find_spec("rich") is None:
        yield lambda flows: None
        return
    entries = read_usage(machine).entries
    if entries < _LARGE_TABLE:
        yield lambda flows: None
        return
    from rich.console import Console  # noqa: PLC0415  only where a person reads
    from rich.progress import Progress  # noqa: PLC0415  the same

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("flows", total=entries)
        yield lambda flows: bar.update(task, completed=flows)


def _json(answer: Answer, config: Config, top: int, by: By | None, *, watching: bool) -> None:
    from natobs.cli.census_json import document  # noqa: PLC0415  not for the worker

    click.echo(document(answer, config.census.snat_ports, top, indent=not watching))


def _tables(answer: Answer, config: Config, top: int, by: By | None, *, watching: bool) -> None:
    from natobs.cli.census_tables import show  # noqa: PLC0415  rich is for people only

    show(answer, config.census.snat_ports, top, by)
