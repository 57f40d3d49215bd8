"""``natobs maintenance``: declares planned work, so that it neither pages nor burns an error budget."""

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from natobs.cli.parameters import duration, journal_at, local, user, with_access, with_journal, words
from natobs.errors import MonitoringError
from natobs.exposition.humanize import span
from natobs.operations.journal import SCOPES, Journal, Scope, Silence, Window
from natobs.slo import http_config as access_file
from natobs.slo.alertmanager import Alertmanager

_HELP = """Declare planned work on this NAT, or on its whole cluster.

The agent exports until when it lasts, and the rules of natobs keep quiet until
then, across restarts of this machine too. Declare it two scrapes before the
work begins: what Prometheus has not seen it does not know.
"""
_LONGEST = 14 * 86_400.0
"""A window that somebody forgets hides every fault."""


@click.group(help=_HELP, epilog="Example: natobs maintenance start --for 30m --reason 'kernel update'")
def command() -> None:
    """Declare planned work on this NAT, or on its whole cluster."""


@command.command(
    epilog="Example: natobs maintenance start --for 2h --cluster egress-a --alertmanager http://127.0.0.1:9093"
)
@click.option("--for", "seconds", type=duration, required=True, help="How long: 30m, 2h, 1d12h; at most 14d.")
@click.option("--reason", type=words, metavar="TEXT", default="", help="What is done, for a person.")
@click.option("--by", type=words, metavar="TEXT", help="Who declares it; by default the user.")
@click.option(
    "--cluster", type=words, metavar="NAME", default="", help="All NATs of this cluster; with --nat, where this NAT is."
)
@click.option(
    "--nat",
    type=words,
    metavar="NAME",
    default="",
    help="This NAT's name in its alerts, to silence them and no others.",
)
@click.option("--alertmanager", metavar="URL", help="Also silence the alerts there; needs --cluster.")
@with_access
@with_journal
def start(  # noqa: PLR0913  one argument an option, as click passes them
    *,
    seconds: float,
    reason: str,
    by: str | None,
    cluster: str,
    nat: str,
    alertmanager: str | None,
    http_config: Path | None,
    state: Path | None,
    config_file: Path | None,
) -> None:
    """Declare maintenance from now on; given again, the later end counts.

    With --cluster alone it covers every NAT of that cluster, those that come
    meanwhile too; otherwise this NAT. With --alertmanager the exit status is 1
    when the alerts could not be silenced; the maintenance is declared even so.
    """
    if seconds > _LONGEST:
        raise click.UsageError(f"--for: at most {span(_LONGEST)}; declare it again where it takes longer")
    if (nat or alertmanager) and not cluster:
        raise click.UsageError("alerts bear the cluster's name and the NAT's: --cluster NAME, --nat NAME")
    scope: Scope = "cluster" if cluster and not nat else "nat"
    silencer = None if alertmanager is None else _alertmanager(alertmanager, http_config)
    file, now = journal_at(state, config_file), time.time()
    wanted = Window(now, now + seconds, reason, user() if by is None else by, cluster)
    window = file.change(lambda journal: journal.declared(scope, wanted)).window(scope) or wanted
    earlier = ", as declared before" if window.until > wanted.until else ""
    click.echo(f"{_title(scope, window)}: in maintenance until {local(window.until)}{earlier}")
    silence = None
    if silencer is not None:
        labels = {"nat_cluster": cluster} | ({"nat": nat} if nat else {})
        try:
            silence = silencer.silence(window, labels)
        except MonitoringError as error:
            raise MonitoringError(f"the maintenance is declared, but nothing is silenced: {error}") from error
        file.change(lambda journal: journal.silenced(scope, silence))
        click.echo(f"silenced {' '.join(f'{name}={value}' for name, value in labels.items())}: {silence.id}")
    _tell_of_another(window.silence, silence, now)


@command.command(epilog="Example: natobs maintenance stop")
@click.option(
    "--cluster", type=words, metavar="NAME", default="", help="End that of the whole cluster, declared on this machine."
)
@click.option("--alertmanager", metavar="URL", help="Where the silence is; by default where it was made.")
@with_access
@with_journal
def stop(
    *,
    cluster: str,
    alertmanager: str | None,
    http_config: Path | None,
    state: Path | None,
    config_file: Path | None,
) -> None:
    """End the maintenance now, and the silence that was made for it.

    Where there is none nothing happens, which is good. The exit status is 1 when
    the silence could not be ended; the maintenance is over even so, and given
    again the command tries the silence once more.
    """
    scope: Scope = "cluster" if cluster else "nat"
    file, now = journal_at(state, config_file), time.time()
    before = file.read()
    window = before.window(scope)
    if window is not None and cluster not in ("", window.cluster):
        raise click.UsageError(f"--cluster: the maintenance that was declared here is that of {window.cluster}")
    if window is None or (not window.active(now) and window.silence is None):
        click.echo("no maintenance to end" + "".join(_elsewhere(before, scope, now)))
        return
    file.change(lambda journal: journal.ended(scope, now))
    click.echo(f"{_title(scope, window)}: maintenance is over")
    silence = window.silence
    if silence is None:
        return
    if now < silence.until:
        try:
            _alertmanager(alertmanager or silence.url, http_config).expire(silence)
        except MonitoringError as error:
            raise MonitoringError(
                f"silence {silence.id} may last until {local(silence.until)}: {error}; the same command tries again"
            ) from error
        click.echo(f"ended silence {silence.id}")
    file.change(lambda journal: journal.silenced(scope, None))


@command.command(epilog="Example: natobs maintenance status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@with_journal
def status(*, as_json: bool, state: Path | None, config_file: Path | None) -> None:
    """Say whether this NAT, or its cluster, is in maintenance as far as this machine knows."""
    journal, now = journal_at(state, config_file).read(), time.time()
    if as_json:
        windows = {scope: _document(journal.window(scope), now) for scope in SCOPES}
        active = any(window is not None and window["active"] for window in windows.values())
        click.echo(msgspec.json.format(msgspec.json.encode({"active": active, **windows})).decode())
        return
    for scope in SCOPES:
        click.echo("\n".join(_lines(scope, journal.window(scope), now)))


def _alertmanager(url: str, http_config: Path | None) -> Alertmanager:
    return Alertmanager(url, None if http_config is None else access_file.load(http_config))


def _tell_of_another(before: Silence | None, now_there: Silence | None, now: float) -> None:
    """Say that a silence lasts as it did: it was not moved, or is in another Alertmanager."""
    if before is not None and now < before.until and (now_there is None or now_there.url != before.url):
        click.echo(
            f"natobs: silence {before.id} at {before.url} still ends at {local(before.until)}"
            + ("; --alertmanager moves it" if now_there is None else ""),
            err=True,
        )


def _title(scope: Scope, window: Window | None) -> str:
    return "this NAT" if scope == "nat" else f"cluster {window.cluster if window else ''}".rstrip()


def _elsewhere(journal: Journal, scope: Scope, now: float) -> Iterator[str]:
    """A hint at the maintenance that was perhaps meant."""
    other = journal.window("cluster" if scope == "nat" else "nat")
    if other is not None and other.active(now):
        yield " here; the cluster's goes on: --cluster " + other.cluster if scope == "nat" else "; this NAT's goes on"


def _lines(scope: Scope, window: Window | None, now: float) -> Iterator[str]:
    if window is None:
        yield f"{_title(scope, window)}: no maintenance"
        return
    if not window.active(now):
        yield f"{_title(scope, window)}: no maintenance; the last one ended at {local(window.until)}"
        return
    yield f"{_title(scope, window)}: in maintenance until {local(window.until)}, for {span(window.until - now)}"
    said = {"since": local(window.begin), "reason": window.reason, "by": window.by}
    if window.silence is not None:
        said["silence"] = f"{window.silence.id} at {window.silence.url} until {local(window.silence.until)}"
    yield from (f"  {name:8} {text}" for name, text in said.items() if text)


def _document(window: Window | None, now: float) -> dict[str, object] | None:
    return None if window is None else {"active": window.active(now), **msgspec.to_builtins(window)}
