"""The ``natobs`` command: finds the subcommand, and turns natobs' own errors into one line and an exit status.

Subcommands are imported when they are called, so that ``natobs agent`` never
loads what only ``natobs lab`` needs.
"""

import sys
from importlib import import_module

import click

from natobs import __version__
from natobs.errors import ConfigError, NatobsError

COMMANDS: dict[str, str] = {
    "accounting": "Have the kernel count attempts and answers of outbound flows.",
    "agent": "Serve what this machine's kernel says about NAT.",
    "capture": "Write down what the agent would read, to replay elsewhere.",
    "census": "Count the flows in the table: who has them, which ports run out.",
    "down": "End the agent that runs in the background.",
    "event": "Record scaling events, failovers and deployments; list them.",
    "gate": "Ask Prometheus whether the NAT may be changed now.",
    "generate": "Write the files that follow from the catalogue.",
    "lab": "Build a NAT in network namespaces, with traffic.",
    "maintenance": "Declare planned work: no pages, no burnt budget.",
    "probe": "Probe targets through the NAT, as a service or once.",
    "reflector": "Answer probes: STAMP, STUN, TCP echo, HTTP.",
    "slo": "Say which objectives there are, and how their budgets stand.",
    "up": "Run agent and probes for this host in the background.",
}
"""Subcommand to the line that ``natobs --help`` prints for it; each is ``natobs.cli.<name>:command``."""

_EXTRAS = {"grafanalib": "generate", "promql_parser": "generate", "rich": "lab"}
"""Extra of the package natobs that brings a library, by the name that is imported."""

EXIT_BAD = 1
EXIT_USAGE = 2


class LazyGroup(click.Group):
    """A click group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"natobs.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog="Example: natobs agent --listen 127.0.0.1:9650")
@click.version_option(__version__, prog_name="natobs")
def natobs() -> None:
    """Observability for self-managed NAT on Linux."""


def main() -> None:
    """Run the command line; exit 0 when good, 1 on a bad result, 2 on wrong usage."""
    try:
        natobs(prog_name="natobs")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        click.echo(
            f"natobs: this needs the Python package {package}; pip install 'natobs[{_EXTRAS[package]}]' brings it",
            err=True,
        )
        sys.exit(EXIT_BAD)
    except ConfigError as error:
        click.echo(f"natobs: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except NatobsError as error:
        click.echo(f"natobs: {error}", err=True)
        sys.exit(EXIT_BAD)
