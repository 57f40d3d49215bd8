"""``natobs probe once``: some attempts at some targets, and what came of each, for a person or as JSON."""

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.util import find_spec

import click

from natobs.cli.consoles import console
from natobs.cli.main import EXIT_BAD
from natobs.errors import ConfigError, SetupError
from natobs.exposition.humanize import span
from natobs.probe_config import KindName, ProbeSettings
from natobs.probes import once as attempts_once
from natobs.probes import registry
from natobs.probes.model import Attempt, Target
from natobs.probes.service import target_of
from natobs.probes.targeting import aim, kind_of

_LONGEST_INTERVAL = 86_400.0
_LONG_WORK_SECONDS = 2.0

_HELP = """Probe some targets now, and show what came of it.

\b
HOST                 icmp
HOST:PORT            tcp
https://HOST/PATH    http
KIND://HOST[:PORT]   any kind: udp, stun, tls, dns, pmtu, ...
dns://SERVER/NAME/TYPE

Nothing is retried. The exit status is 0 when every attempt succeeded, 1 when
one failed, 2 when the command line is wrong.
"""
"""``\\b`` keeps the lines of the paragraph that follows it."""


@click.command(help=_HELP, epilog="Example: natobs probe once 192.0.2.1 192.0.2.1:443 https://example.com/ --count 5")
@click.argument("targets", nargs=-1, required=True)
@click.option("--kind", type=click.Choice(list(registry.ALL)), help="What is sent; guessed from the target's form.")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Attempts at each target.")
@click.option(
    "--interval", type=click.FloatRange(0.01, 3600), default=1.0, show_default=True, help="Seconds between attempts."
)
@click.option(
    "--timeout", type=click.FloatRange(0.01, 60), default=2.0, show_default=True, help="Seconds that one may take."
)
@click.option("-4", "family", flag_value="ipv4", help="IPv4 only.")
@click.option("-6", "family", flag_value="ipv6", help="IPv6 only.")
@click.option("--source", default="", metavar="ADDRESS", help="Source address.")
@click.option("--interface", default="", metavar="NAME", help="Bind to this interface.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def once(  # noqa: PLR0913 - one argument an option, as click passes them
    *,
    targets: tuple[str, ...],
    kind: KindName | None,
    count: int,
    interval: float,
    timeout: float,
    family: str | None,
    source: str,
    interface: str,
    as_json: bool,
) -> None:
    """Probe some targets now, and show what came of it."""
    options: dict[str, object] = {
        "timeout_seconds": timeout,
        "interval_seconds": _LONGEST_INTERVAL,
        "retries": 0,
        "family": family or "any",
        "source": source,
        "interface": interface,
    }
    kinds = registry.Kinds()
    aimed = [_target(text, kind, options, kinds) for text in targets]
    done: list[Attempt] = []
    if not as_json and find_spec("rich") is None:
        raise SetupError("tables need the Python package rich; pip install 'natobs[probes]', or use --json")
    with suppress(KeyboardInterrupt), _progress(count * interval + timeout):  # what is there by then is shown
        attempts_once.run(aimed, kinds, done.append, count=count, interval=interval)
    done.sort(key=lambda attempt: attempt.started)
    click.echo(_json(done)) if as_json else _print(done)
    sys.exit(0 if len(done) == count * len(aimed) and all(one.outcome.success for one in done) else EXIT_BAD)


def _progress(seconds: float) -> AbstractContextManager[object]:
    """A sign of life on a terminal for work that takes long."""
    if seconds < _LONG_WORK_SECONDS or not sys.stderr.isatty() or find_spec("rich") is None:
        return nullcontext()
    from rich.console import Console  # noqa: PLC0415  only where a person reads

    return Console(stderr=True).status(f"probing for up to {span(seconds)}; Ctrl-C shows what there is")


def _target(text: str, kind: KindName | None, options: dict[str, object], kinds: registry.KindByName) -> Target:
    try:
        chosen = kind or kind_of(text)
        settings, place = aim(ProbeSettings(name="once", kind=chosen, targets=(text,), **options), text)  # type: ignore[arg-type]  # values of options that click has checked
        return target_of(settings, place, kinds)
    except (ConfigError, ValueError) as error:  # ValueError: of the settings
        raise click.UsageError(str(error)) from error


def _json(done: Sequence[Attempt]) -> str:
    return json.dumps([_as_dict(attempt) for attempt in done], indent=2)


def _as_dict(attempt: Attempt) -> dict[str, object]:
    outcome = attempt.outcome
    facts: dict[str, object] = {
        "target": attempt.target.name,
        "kind": attempt.target.settings.kind,
        "started": attempt.started,
        "success": outcome.success,
        "reason": outcome.reason.value if outcome.reason else None,
        "detail": outcome.detail,
        "duration_seconds": attempt.seconds,
        "rtt_seconds": outcome.rtt,
        "clock": outcome.clock.value if outcome.clock else None,
        "phases": dict(outcome.phases),
    }
    if outcome.observed:
        facts["observed"] = {"address": outcome.observed[0], "port": outcome.observed[1]}
    if outcome.path_mtu is not None:
        facts["path_mtu_bytes"] = outcome.path_mtu
    if outcome.syn_retransmits:
        facts["syn_retransmits"] = outcome.syn_retransmits
    if outcome.icmp:
        icmp = outcome.icmp
        facts["icmp"] = {"type": icmp.type, "code": icmp.code, "sender": icmp.sender, "mtu": icmp.mtu}
    if outcome.certificate_expiry is not None:
        facts["certificate_expiry"] = outcome.certificate_expiry
    return facts


def _print(done: Sequence[Attempt]) -> None:
    from rich.table import Table  # noqa: PLC0415  the same
    from rich.text import Text  # noqa: PLC0415  the same

    table = Table(box=None, pad_edge=False)
    for head in ("target", "kind", "result", "round trip", "clock"):
        table.add_column(head, justify="right" if head == "round trip" else "left", no_wrap=True)
    table.add_column("phases and remarks")
    for attempt in done:
        outcome = attempt.outcome
        result = Text("good", "green") if outcome.reason is None else Text(outcome.reason.value, "bold red")
        # What came from the network is plain text, never markup of the table.
        table.add_row(
            Text(attempt.target.name),
            attempt.target.settings.kind,
            result,
            "" if outcome.rtt is None else span(outcome.rtt),
            outcome.clock.value if outcome.clock else "",
            Text(_printable("; ".join(_remarks(attempt)))),
        )
    out = console()
    out.print(table)
    if len(done) > 1:
        out.print()
        for line in _summary(done):
            out.print(Text(line))


def _remarks(attempt: Attempt) -> Sequence[str]:
    outcome = attempt.outcome
    remarks = [", ".join(f"{name.replace('_', ' ')} {span(seconds)}" for name, seconds in outcome.phases.items())]
    remarks.append(outcome.detail)
    if outcome.observed:
        remarks.append(f"seen as {outcome.observed[0]}")
    if outcome.path_mtu is not None:
        remarks.append(f"path MTU {outcome.path_mtu} B")
    if outcome.syn_retransmits:
        remarks.append(f"SYN sent {outcome.syn_retransmits + 1} times")
    return [remark for remark in remarks if remark]


def _printable(text: str) -> str:
    """Without control characters: a server must not move the cursor of whoever looks."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _summary(done: Sequence[Attempt]) -> Iterator[str]:
    """A line for each target: how many attempts succeeded, and the median of their round trips."""
    by_target: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in done:
        by_target.setdefault((attempt.target.name, attempt.target.settings.kind), []).append(attempt)
    for (name, kind), attempts in by_target.items():
        good = sum(attempt.outcome.success for attempt in attempts)
        trips = [attempt.outcome.rtt for attempt in attempts if attempt.outcome.rtt is not None]
        median = f", median round trip {span(statistics.median(trips))}" if trips else ""
        yield f"{name} ({kind}): {good} of {len(attempts)} succeeded{median}"
