"""``natobs agent``: serves this machine until it is told to stop."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from natobs.cli.serving import serve
from natobs.config import Config, load
from natobs.exposition.agent import Agent
from natobs.exposition.exposure import public_listeners
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Machine
from natobs.kernel.recorded import RecordedMachine

logger = logging.getLogger(__name__)

_FILE = click.Path(dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)

_HELP = """Serve what this machine's kernel says about NAT.

\b
/metrics   Prometheus text or OpenMetrics
/          the same for a person
/healthz, /readyz

SIGHUP reads the configuration again; SIGTERM ends the agent.
"""
"""``\\b`` keeps the lines of the paragraph that follows it."""


@click.command(
    help=_HELP, epilog="Example: natobs agent --listen 127.0.0.1:9650 --textfile /var/lib/prometheus/node-exporter"
)
@click.option("--config", "config_file", type=_FILE, help="TOML file; without it every setting has its default.")
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Instead of agent.listen; may be given again.")
@click.option("--web.config.file", "web_config_file", type=_FILE, help="TLS and users, as for Prometheus exporters.")
@click.option("--textfile", type=_DIRECTORY, help="Write a textfile for node_exporter into this directory.")
@click.option(
    "--interval", type=click.FloatRange(1, 3600), metavar="SECONDS", help="How often the textfile is written."
)
@click.option("--once", is_flag=True, help="With --textfile: write it once and end, without serving.")
@click.option("--recorded", type=_DIRECTORY, help="Serve a machine that `natobs capture` wrote down.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--ready-fd", type=int, hidden=True, help="Write the URLs to this descriptor once ready.")
def command(  # noqa: PLR0913, PLR0917 - one argument an option, as click passes them
    config_file: Path | None,
    check: bool,  # noqa: FBT001 - a click flag
    listen: tuple[str, ...],
    web_config_file: Path | None,
    textfile: Path | None,
    interval: float | None,
    once: bool,  # noqa: FBT001 - a click flag
    recorded: Path | None,
    log_level: str,
    ready_fd: int | None,
) -> None:
    """Serve what this machine's kernel says about NAT."""
    logging.basicConfig(format="natobs: %(levelname)s: %(message)s", level=log_level.upper())
    overrides: dict[str, object] = {
        "listen": listen or None,
        "web_config_file": str(web_config_file) if web_config_file else None,
        "textfile_directory": str(textfile) if textfile else None,
        "textfile_interval_seconds": interval,
    }
    configure = _loader(config_file, overrides)
    if once and not configure().agent.textfile_directory:
        raise click.UsageError("--once needs --textfile DIR or agent.textfile_directory")
    machine: Machine = RecordedMachine(recorded) if recorded else LiveMachine()
    agent = Agent(machine, configure)
    if check:
        click.echo(f"{config_file or 'the defaults'}: good")
    elif once:
        click.echo(f"wrote {agent.write_once()}")
    else:
        _serve(agent, machine, ready_fd)


def _loader(config_file: Path | None, overrides: dict[str, object]) -> Callable[[], Config]:
    """A function that reads the file and puts the options of the command line over it."""
    given = {name: value for name, value in overrides.items() if value is not None}

    def configure() -> Config:
        config = load(config_file)
        return msgspec.structs.replace(config, agent=msgspec.structs.replace(config.agent, **given))

    return configure


def _serve(agent: Agent, machine: Machine, ready_fd: int | None) -> NoReturn:
    def warn() -> None:
        for address, why in public_listeners(machine, agent.addresses):
            logger.warning("%s is reachable from outside: %s; consider loopback, or --web.config.file", address, why)

    serve(agent, warn, ready_fd)
