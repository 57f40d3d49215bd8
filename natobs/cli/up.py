"""``natobs up``: the agent for this host in the background, once, with probes."""

from pathlib import Path

import click

from natobs.cli import background

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_DEFAULT = "--self-check"


@click.command(epilog="Example: natobs up --probes probes/default.toml")
@click.option("--config", type=_FILE, help="As for `natobs agent`.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="As for `natobs agent`.")
@click.option("--probes", type=_FILE, help="Run the probes of this file.")
@click.option("--no-probes", is_flag=True, help="Run no probes.")
def command(config: Path | None, listen: tuple[str, ...], probes: Path | None, *, no_probes: bool) -> None:
    """Run the agent for this host in the background, with probes.

    What is probed is said by --probes, else by `[probes] file` of the
    configuration. Where neither does, this host alone is: that shows that
    probing works, and no packet of it leaves the host.

    Does nothing when an agent runs already. `natobs down` ends it.
    """
    if probes and no_probes:
        raise click.UsageError("either --probes FILE or --no-probes")
    arguments = [f"--listen={address}" for address in listen]
    if config is not None:
        arguments.append(f"--config={config.resolve()}")
    if probes is not None:
        arguments.append(f"--probes={probes.resolve()}")
    arguments.append("--no-probes" if no_probes else _DEFAULT)
    running, started = background.start(arguments)
    where = " and ".join(running.urls)
    click.echo(f"The agent {'serves' if started else 'already serves'} this host at {where}")
    click.echo(f"metrics: {running.urls[0]}metrics")
    click.echo(f"probes: {running.probes or 'none'}")
    click.echo(f"process {running.process.pid}, log {running.log}, end it with: natobs down")
    if not started and arguments != [_DEFAULT] and sorted(running.arguments) != sorted(arguments):
        click.echo("It runs as it was started; to have it otherwise: natobs down, and up again", err=True)
