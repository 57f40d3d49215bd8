"""``natobs accounting``: loads, shows and removes the table by which the kernel counts attempts and answers."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from natobs.cli.main import EXIT_BAD
from natobs.collectors.accounting import wanted
from natobs.config import load
from natobs.kernel import accounting_install, accounting_status, accounting_table, sysctl
from natobs.kernel.accounting_status import ACCOUNT, TIMESTAMP, Status
from natobs.kernel.live import LiveMachine

_HELP = """Have the kernel count attempts and answers of outbound flows.

An nftables table of natobs' own, `inet natobs`, counts what private hosts open
through this NAT, and what comes of it. It accepts, translates and changes no
packet, and touches no other table. The agent reads it once it is there.
"""
_SAID = {
    "installed": "accounting is installed",
    "replaced": "the accounting table was replaced; its quarantine was kept",
    "unchanged": "accounting is installed already; nothing was changed",
}
_WITHOUT = {
    ACCOUNT: "packets and bytes of single flows are unknown, those of all flows together are counted",
    TIMESTAMP: "the age of single flows is unknown",
}
_SUBJECTS = {"attempts": "destinations attempted", "answers": "destinations that answered", "hosts": "private hosts"}

Command = TypeVar("Command", bound=Callable[..., None])


@click.group(help=_HELP, epilog="Example: natobs accounting print")
def command() -> None:
    """Have the kernel count attempts and answers of outbound flows."""


def _with_config(function: Command) -> Command:
    file = click.Path(dir_okay=False, path_type=Path)
    return click.option("--config", "config_file", type=file, help="As for `natobs agent`.")(function)


@command.command(epilog="Example: sudo natobs accounting install")
@_with_config
@click.option(
    "--enable-acct", is_flag=True, help=f"Also set {ACCOUNT} to 1 until the next start: flows then count their bytes."
)
def install(*, config_file: Path | None, enable_acct: bool) -> None:
    """Load the table, or replace it where the configuration has changed.

    All of it or nothing. Installed a second time, it goes on counting.
    """
    settings = wanted(load(config_file))
    with closing(LiveMachine()) as machine:
        change = accounting_install.install(machine, settings)
    click.echo(_SAID[change])
    if enable_acct:
        sysctl.write(ACCOUNT, 1)
        click.echo(f"{ACCOUNT} is 1; flows that were there before keep no count")


@command.command(epilog="Example: sudo natobs accounting remove")
def remove() -> None:
    """Remove the table with its counters; every other rule stays as it is."""
    with closing(LiveMachine()) as machine:
        there = accounting_install.remove(machine)
    click.echo("accounting is removed" if there else "accounting was not installed")


@command.command("print", epilog="Example: natobs accounting print | less")
@_with_config
def show(config_file: Path | None) -> None:
    """Print the ruleset that `install` loads, for review or for rules of your own."""
    click.echo(accounting_table.text(wanted(load(config_file))), nl=False)


@command.command(epilog="Example: sudo natobs accounting status --json")
@_with_config
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def status(*, config_file: Path | None, as_json: bool) -> None:
    """Say whether the kernel counts, how full its sets are, and what it cannot see.

    The exit status is 0 when all is counted as the configuration says, else 1.
    """
    settings = wanted(load(config_file))
    with closing(LiveMachine()) as machine:
        found = accounting_status.read(machine, settings)
    if as_json:
        click.echo(_json(found))
    else:
        click.echo("\n".join(_lines(found)))
    if not found.good:
        click.get_current_context().exit(EXIT_BAD)


def _json(found: Status) -> str:
    fields = {"good": found.good, **msgspec.to_builtins(found)}
    return msgspec.json.format(msgspec.json.encode(fields)).decode()


def _lines(found: Status) -> Iterator[str]:
    yield from _state(found)
    for name, fill in found.sets.items():
        full = "; full: new ones are counted as other" if fill.elements >= fill.size else ""
        subject = f"{_SUBJECTS[name[:-1]]}, IPv{name[-1]}"
        yield f"  {subject:40}{fill.elements} of {fill.size}{full}"
    if found.quarantined:
        yield f"  {'quarantined':40}{', '.join(found.quarantined)}"
    yield f"  {'conntrack label':40}bits {found.labels[0]} and {found.labels[1]}"
    for name, value in found.sysctls.items():
        said = "cannot be read" if value is None else str(value)
        yield f"  {name:40}{said}" + ("" if value else f": {_WITHOUT[name]}")
    yield f"  {'flowtables':40}{_flowtables(found)}"


def _state(found: Status) -> Iterator[str]:
    if not found.installed:
        yield "accounting is not installed"
        if found.obstacle:
            yield f"  and cannot be: {found.obstacle}"
    elif not found.current:
        yield "accounting is installed for another configuration or by another version of natobs:"
        yield "  natobs accounting install replaces it"
    elif not found.whole:
        yield "accounting is installed, but rules of its table are missing, or are there twice:"
        yield "  natobs accounting install replaces it"
    else:
        yield "accounting is installed"


def _flowtables(found: Status) -> str:
    there = found.flowtables
    if there is None:
        return "cannot be read"
    if not there.software and not there.hardware:
        return "none"
    return (
        f"{there.software} in software, {there.hardware} offloaded: packets, bytes and resets of flows in them are not "
        "seen, nor the first answer to a UDP flow that was sent twice before it"
    )
