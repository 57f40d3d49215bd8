"""``natobs up``: the agent for this host in the background, once."""

from pathlib import Path

import click

from natobs.cli import background


@click.command(epilog="Example: natobs up && curl -s http://127.0.0.1:9650/metrics | head")
@click.option("--config", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="As for `natobs agent`.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="As for `natobs agent`.")
def command(config: Path | None, listen: tuple[str, ...]) -> None:
    """Run the agent for this host in the background.

    Does nothing when it runs already. `natobs down` ends it.
    """
    arguments = [f"--listen={address}" for address in listen]
    if config is not None:
        arguments.append(f"--config={config.resolve()}")
    running, started = background.start(arguments)
    where = " and ".join(running.urls)
    click.echo(f"The agent {'serves' if started else 'already serves'} this host at {where}")
    click.echo(f"metrics: {running.urls[0]}metrics")
    click.echo(f"process {running.process.pid}, log {running.log}, end it with: natobs down")
