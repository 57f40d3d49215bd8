"""``natobs agent``: serves this machine until it is told to stop."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from msgspec.structs import replace

from natobs.cli.serving import serve, warn_of_exposure
from natobs.config import Config, Section, load
from natobs.exposition.agent import Agent
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Machine
from natobs.kernel.recorded import RecordedMachine

T = TypeVar("T", bound=Section)
_FILE = click.Path(dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)

_HELP = """Serve what this machine's kernel says about NAT.

\b
/metrics   Prometheus text or OpenMetrics
/          the same for a person, with the probes that this agent runs
/probes    these probes in full
/probe     one attempt of them: ?target=HOST:PORT&module=NAME
/healthz, /readyz
/-/reload  POST: the same as SIGHUP

SIGHUP reads the configuration again, and the probe file; SIGTERM ends the
agent. Of a probe file, prober.listen, prober.web_config_file and [otlp] are
not used here: those of the agent are.
"""
"""``\\b`` keeps the lines of the paragraph that follows it."""


@click.command(
    help=_HELP, epilog="Example: natobs agent --listen 127.0.0.1:9650 --textfile /var/lib/prometheus/node-exporter"
)
@click.option("--config", "config_file", type=_FILE, help="TOML file; without it every setting has its default.")
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Instead of agent.listen; may be given again.")
@click.option("--web.config.file", "web_config_file", type=_FILE, help="TLS and users, as for Prometheus exporters.")
@click.option(
    "--probes", "probe_file", type=_FILE, help="Run the probes of this file too, for example probes/default.toml."
)
@click.option("--no-probes", is_flag=True, help="Run no probes, whatever the configuration says.")
@click.option("--self-check", is_flag=True, help="Where no probe file is given, probe this host alone.")
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
def command(  # noqa: PLR0913  one argument an option, as click passes them
    *,
    config_file: Path | None,
    check: bool,
    listen: tuple[str, ...],
    web_config_file: Path | None,
    probe_file: Path | None,
    no_probes: bool,
    self_check: bool,
    textfile: Path | None,
    interval: float | None,
    once: bool,
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
    if probe_file and no_probes:
        raise click.UsageError("either --probes FILE or --no-probes")
    probes: dict[str, object] = {
        "file": "" if no_probes else str(probe_file) if probe_file else None,
        "self_check": False if no_probes else self_check or None,
    }
    # The state file has what this machine has counted: no business of a recorded one.
    accounting: dict[str, object] = {"state_file": "" if recorded else None}
    configure = _loader(config_file, agent=overrides, probes=probes, accounting=accounting)
    if once and not configure().agent.textfile_directory:
        raise click.UsageError("--once needs --textfile DIR or agent.textfile_directory")
    machine: Machine = RecordedMachine(recorded) if recorded else LiveMachine()
    agent = Agent(machine, configure)
    if check:
        agent.stop()
        click.echo(f"{config_file or 'the defaults'}: good")
    elif once:
        click.echo(f"wrote {agent.write_once()}")
    else:
        serve(agent, lambda: warn_of_exposure(agent.addresses, machine), ready_fd)


def _loader(
    config_file: Path | None, agent: dict[str, object], probes: dict[str, object], accounting: dict[str, object]
) -> Callable[[], Config]:
    """A function that reads the file and puts the options of the command line over it, those that are not None."""

    def configure() -> Config:
        config = load(config_file)
        return replace(
            config,
            agent=_over(config.agent, agent),
            probes=_over(config.probes, probes),
            accounting=_over(config.accounting, accounting),
        )

    return configure


def _over(section: T, options: dict[str, object]) -> T:
    return replace(section, **{name: value for name, value in options.items() if value is not None})
