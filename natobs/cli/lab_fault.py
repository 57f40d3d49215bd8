"""``natobs lab fault``: break a lab that is up, and mend it, by hand."""

import json

import click

from natobs.cli.lab_stack import DEFAULT_NAME, named
from natobs.lab import state
from natobs.lab.faults import journal
from natobs.lab.faults.base import Fault
from natobs.lab.faults.registry import ALL, find

_name = click.option("--name", "lab", default=DEFAULT_NAME, show_default=True, help="Name of the lab.")


@click.group(epilog="Example: natobs lab fault inject table-full")
def fault() -> None:
    """Break a lab in a documented way, and mend it."""


@fault.command(name="list", epilog="Example: natobs lab fault list --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def list_(*, as_json: bool) -> None:
    """List the faults, with the failure modes that they are examples of."""
    if as_json:
        click.echo(json.dumps([_as_dict(each) for each in ALL], indent=2))
        return
    for each in ALL:
        click.echo(f"{each.name:<24} {each.mode:<3} {each.title}")


@fault.command(epilog="Example: natobs lab fault inject no-default-route")
@_name
@click.argument("fault", metavar="FAULT")
def inject(lab: str, fault: str) -> None:
    """Bring a fault about in a lab that is up, until it is healed or the lab ends."""
    made = find(fault)(state.find(lab).lab())
    made.inject()
    made.detach()
    click.echo(f"{made.name} is injected in lab {lab}: {made.sentence}")
    click.echo(f"heal:  natobs lab fault heal{named(lab)} {made.name}")


@fault.command(epilog="Example: natobs lab fault heal --all")
@_name
@click.option("--all", "every", is_flag=True, help="Heal everything that is injected.")
@click.argument("fault", metavar="[FAULT]", required=False)
def heal(lab: str, fault: str | None, *, every: bool) -> None:
    """Undo a fault."""
    if every == bool(fault):
        raise click.UsageError("which fault? Name one, or say --all; natobs lab status shows what is injected")
    broken = state.find(lab).lab()
    names = [record.fault for record in reversed(journal.injected(broken))] if every else [fault or ""]
    for name in names:
        find(name)(broken).heal()
        click.echo(f"{name} is healed in lab {lab}")
    if not names:
        click.echo(f"nothing is injected in lab {lab}")


def _as_dict(each: type[Fault]) -> dict[str, object]:
    return {
        "name": each.name,
        "mode": each.mode or None,
        "title": each.title,
        "sentence": each.sentence,
        "interfaces": list(each.arms),
    }
