"""``natobs capture``: writes down what the agent reads, so that it can be replayed elsewhere."""

import os
import platform
from pathlib import Path

import click

from natobs import __version__
from natobs.collectors.observer import Observer
from natobs.config import load
from natobs.kernel.live import LiveMachine
from natobs.kernel.recorded import RecordingMachine

_SECONDS = 60.0


@click.command(epilog="Example: sudo natobs capture nat-1 && sudo tar -czf nat-1.tar.gz nat-1")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--config", "config_file", type=click.Path(dir_okay=False, path_type=Path), help="As for `natobs agent`.")
def command(directory: Path, config_file: Path | None) -> None:
    """Write down what the agent would read, to replay elsewhere.

    DIRECTORY is made, and filled with one file for each question that the agent
    asks the kernel: counters, rules, addresses and routes, and the kernel log.
    Look through it before you send it to anybody. `natobs agent --recorded
    DIRECTORY` serves it.
    """
    os.umask(0o077)  # rules, addresses and the kernel log are not for every user of this machine
    machine = RecordingMachine(LiveMachine(), directory)
    observer = Observer(machine, load(config_file))
    observer.prime()
    observer.collect(_SECONDS)
    observer.stop()
    machine.finish(__version__, platform.release())
    machine.close()
    click.echo(f"{directory}: {machine.answers} answers, {len(machine.refusals)} questions that were refused")
    for key, refusal in sorted(machine.refusals.items()):
        click.echo(f"  {key}: {refusal.reason}: {refusal.detail}")
