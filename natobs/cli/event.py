"""``natobs event``: records what was done to this NAT on purpose, and lists it."""

import re
import time
from pathlib import Path

import click
import msgspec

from natobs.catalogue.metrics.operations import KINDS, SLUG
from natobs.cli.columns import columns
from natobs.cli.parameters import duration, journal_at, local, moment, user, with_journal, words
from natobs.operations.journal import MOST_EVENTS, Event

_HELP = """Record what is done to this NAT on purpose, and list it.

Autoscalers, failover scripts and pipelines call it where they act; docs/operations.md
has examples. The agent counts the events by kind and reason
(natobs_scaling_events_total) and says when the latest was.
"""


@click.group(help=_HELP, epilog="Example: natobs event list --since 7d")
def command() -> None:
    """Record what is done to this NAT on purpose, and list it."""


def _slug(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(SLUG, value):
        near = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")[:40]
        raise click.BadParameter(
            f"{value!r} is no word of the form {SLUG}"
            + (f"; did you mean {near}? --note takes whole sentences" if near else "")
        )
    return value


@command.command(epilog="Example: natobs event record replace --reason new_image --note 'image 2026-01' --by pipeline")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.option("--reason", required=True, callback=_slug, help=f"Why, in a word: {SLUG}.")
@click.option("--at", type=moment, metavar="TIME", help="When it happened, as 2026-01-31T12:00:00Z; by default now.")
@click.option("--note", type=words, metavar="TEXT", default="", help="More about it, for a person.")
@click.option("--by", type=words, metavar="TEXT", help="Who says so; by default the user.")
@with_journal
def record(  # noqa: PLR0913  one argument an option, as click passes them
    *,
    kind: str,
    reason: str,
    at: float | None,
    note: str,
    by: str | None,
    state: Path | None,
    config_file: Path | None,
) -> None:
    """Record an event; when the command ends well it is on disk.

    KIND is one of scale_out, scale_in, failover, replace, deploy, config, other.
    """
    now = time.time()
    event = Event(kind, reason, now if at is None else at, note, user() if by is None else by)
    journal_at(state, config_file).change(lambda journal: journal.recorded(event, now))
    click.echo(f"recorded: {kind} {reason} at {local(event.time)}")


@command.command("list", epilog="Example: natobs event list --since 7d --json")
@click.option("--since", type=duration, default="24h", show_default=True, help="How far to look back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, the same rows.")
@with_journal
def show(*, since: float, as_json: bool, state: Path | None, config_file: Path | None) -> None:
    """List the events of the last hours, the latest last."""
    journal = journal_at(state, config_file).read()
    begin = time.time() - since
    events = sorted((event for event in journal.events if event.time >= begin), key=lambda event: event.time)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(events)).decode())
    elif events:
        header = ("time", "kind", "reason", "by", "note")
        click.echo(columns(header, [(local(one.time), one.kind, one.reason, one.by, one.note) for one in events]))
    else:
        older = len(journal.events)
        click.echo("no events" + (f" of late; {older} older ones, --since 365d shows them" if older else ""))
    if len(journal.events) == MOST_EVENTS and not as_json:
        click.echo(f"only the latest {MOST_EVENTS} are kept; all are counted", err=True)
