"""``natobs probe``: probes targets until it is told to stop; ``natobs probe once`` is for a person."""

import logging
from collections.abc import Callable
from pathlib import Path

import click
from msgspec.structs import replace

from natobs.cli.probe_once import once
from natobs.cli.probe_push import push
from natobs.cli.serving import serve, warn_of_exposure
from natobs.exposition.prober import Prober
from natobs.probe_config import ProbeFile, load

_FILE = click.Path(dir_okay=False, path_type=Path)

_HELP = """Probe targets through the NAT, as a service or once.

With --config FILE: probes what the file says, until it is told to stop.

\b
/metrics   Prometheus text or OpenMetrics
/          the same for a person
/probe     one attempt: ?target=HOST:PORT&module=NAME
/healthz, /readyz
/-/reload  POST: the same as SIGHUP

SIGHUP reads the file again; targets that stay keep their counters. SIGTERM
ends it.
"""
"""``\\b`` keeps the lines of the paragraph that follows it."""


@click.group(help=_HELP, invoke_without_command=True, epilog="Example: natobs probe --config probes/default.toml")
@click.option("--config", "config_file", type=_FILE, help="The probe file, TOML.")
@click.option("--check", is_flag=True, help="Only say whether the file is right.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Instead of prober.listen; may be given again.")
@click.option("--web.config.file", "web_config_file", type=_FILE, help="TLS and users, as for Prometheus exporters.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--ready-fd", type=int, hidden=True, help="Write the addresses to this descriptor once ready.")
@click.pass_context
def command(  # noqa: PLR0913  one argument an option, as click passes them
    context: click.Context,
    *,
    config_file: Path | None,
    check: bool,
    listen: tuple[str, ...],
    web_config_file: Path | None,
    log_level: str,
    ready_fd: int | None,
) -> None:
    """Probe targets through the NAT, as a service or once."""
    if context.invoked_subcommand is not None:
        return
    if config_file is None:
        raise click.UsageError("which probes? Either --config FILE, or: natobs probe once HOST")
    logging.basicConfig(format="natobs: %(levelname)s: %(message)s", level=log_level.upper())
    overrides: dict[str, object] = {
        "listen": listen or None,
        "web_config_file": str(web_config_file) if web_config_file else None,
    }
    prober = Prober(_loader(config_file, overrides))
    if check:
        prober.stop()
        click.echo(f"{config_file}: good, {len(prober.service.targets)} targets")
        return
    serve(prober, lambda: warn_of_exposure(prober.addresses), ready_fd)


def _loader(config_file: Path, overrides: dict[str, object]) -> Callable[[], ProbeFile]:
    """A function that reads the file and puts the options of the command line over it."""
    given = {name: value for name, value in overrides.items() if value is not None}

    def configure() -> ProbeFile:
        file = load(config_file)
        return replace(file, prober=replace(file.prober, **given))

    return configure


command.add_command(once)
command.add_command(push)
