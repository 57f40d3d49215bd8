"""``natobs down``: ends the agent that ``natobs up`` started."""

import click

from natobs.cli import background


@click.command(epilog="Example: natobs down")
def command() -> None:
    """End the agent that runs in the background."""
    running = background.stop()
    if running is None:
        click.echo("no agent runs in the background")
    else:
        click.echo(f"ended the agent (process {running.process.pid})")
