"""``natobs lab selftest``: what befalls natobs itself, in a stack of its own, and a table of how each turned out."""

import sys
from collections.abc import Mapping

import click
import msgspec

from natobs.cli.columns import columns
from natobs.cli.main import EXIT_BAD
from natobs.lab import sweep
from natobs.lab.selffaults import run
from natobs.lab.selffaults.base import Outcome, SelfFault
from natobs.lab.selffaults.memory import MEGABYTE, Resident
from natobs.lab.selffaults.registry import ALL, find

_HELP = """Kill, stop, flood and starve natobs itself, and show that it survives.

Builds a stack of its own, brings about the faults that are named, or all, one
after the other, and prints how each turned out: what was lost and who says so,
processes that began anew and counters that fell with them, and the resident
memory of the process that grew most, in MB, before, at its peak, and afterwards.
Takes some 12 s a fault.

The exit status is 1 when a process of natobs crashed, memory was not bounded, a
counter went backwards where Prometheus does not expect it, or a loss was not said.
"""
_NAME = "selftest"


@click.command(name="selftest", help=_HELP, epilog="Example: natobs lab selftest agent-killed disk-full")
@click.argument("names", metavar="[FAULT]...", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List the faults and do nothing.")
@click.option("--quick", is_flag=True, help="Only one of each kind.")
@click.option(
    "--time-scale",
    type=click.FloatRange(1, 300),
    default=run.DEFAULT_SCALE,
    show_default=True,
    help="Shorten intervals so much.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def selftest(names: tuple[str, ...], *, listed: bool, quick: bool, time_scale: float, as_json: bool) -> None:
    """Kill, stop, flood and starve natobs itself, and show that it survives."""
    if names and quick:
        raise click.UsageError("name faults, or say --quick")
    faults = [find(name) for name in names] or [fault for fault in ALL if fault.quick or not quick]
    if listed:
        click.echo(_json_of_faults(faults) if as_json else _list(faults))
        return
    sweep.sweep()
    outcomes = _run(faults, time_scale)
    click.echo(_json(outcomes) if as_json else _table(outcomes))
    sys.exit(0 if all(outcome.good for outcome in outcomes) else EXIT_BAD)


def _run(faults: list[type[SelfFault]], scale: float) -> list[Outcome]:
    outcomes = []
    click.echo(f"natobs: building a stack for {len(faults)} faults", err=True)
    with run.standing(run.plan(_NAME, scale)) as stack:
        for number, fault in enumerate(faults, 1):
            click.echo(f"natobs: {number} of {len(faults)}: {fault.sentence}", err=True)
            outcome = run.run(fault(), stack)
            outcomes.append(outcome)
            for problem in outcome.problems:
                click.echo(f"natobs: {fault.name}: {problem}", err=True)
            stack.check()  # where a part has ended for good, the next fault would prove nothing
    return outcomes


def _list(faults: list[type[SelfFault]]) -> str:
    return "\n".join(f"{fault.name:<26} {fault.sentence}" for fault in faults)


def _table(outcomes: list[Outcome]) -> str:
    header = ("fault", "outcome", "restarts", "resets", "memory", "what was lost", "who says so")
    rows = [
        (
            outcome.title,
            "good" if outcome.good else "BAD",
            str(outcome.restarts),
            str(outcome.resets),
            _grown(outcome.memory),
            outcome.lost,
            "; ".join(outcome.said),
        )
        for outcome in outcomes
    ]
    bad = [f"BAD {outcome.fault}: {problem}" for outcome in outcomes for problem in outcome.problems]
    good = sum(outcome.good for outcome in outcomes)
    verdict = f"{good} of {len(outcomes)} faults did natobs no harm"
    return "\n".join((columns(header, rows, right=("restarts", "resets")), *bad, verdict))


def _grown(memory: Mapping[str, Resident]) -> str:
    """The process that grew most."""
    if not memory:
        return ""
    name, most = max(memory.items(), key=lambda entry: entry[1].peak - entry[1].before)
    sizes = ", ".join(f"{size / MEGABYTE:.1f}" for size in (most.before, most.peak, most.after))
    return f"{name.split()[0]} {sizes}"


def _json(outcomes: list[Outcome]) -> str:
    return msgspec.json.format(
        msgspec.json.encode([{"good": each.good, **_fields(each)} for each in outcomes])
    ).decode()


def _fields(outcome: Outcome) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(outcome)
    return found


def _json_of_faults(faults: list[type[SelfFault]]) -> str:
    told = [{"name": each.name, "title": each.title, "sentence": each.sentence, "quick": each.quick} for each in faults]
    return msgspec.json.format(msgspec.json.encode(told)).decode()
