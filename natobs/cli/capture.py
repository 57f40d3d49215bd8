"""``natobs capture``: writes down what the agent reads, so that it can be replayed elsewhere."""

import os
import platform
from contextlib import suppress
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from natobs import __version__
from natobs.collectors import flows
from natobs.collectors.observer import Observer
from natobs.config import Config, load
from natobs.errors import KernelError
from natobs.kernel import flow_worker
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Computed
from natobs.kernel.recorded import RecordingMachine

_SECONDS = 60.0


def _census(machine: RecordingMachine, config: Config) -> None:
    """Have a census taken here and now: that which the observer has begun is not ready so soon."""
    order = msgspec.json.encode(flows.order_of(config.census, config.nat, flows.MOST_LISTED))
    with suppress(KernelError):
        machine.ask(Computed(flows.QUESTION, lambda: flow_worker.respond(order, LiveMachine())))


@click.command(epilog="Example: sudo natobs capture nat-1 && sudo tar -czf nat-1.tar.gz nat-1")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--config", "config_file", type=click.Path(dir_okay=False, path_type=Path), help="As for `natobs agent`.")
def command(directory: Path, config_file: Path | None) -> None:
    """Write down what the agent would read, to replay elsewhere.

    DIRECTORY is made, and filled with one file for each question that the agent
    asks the kernel: counters, rules, addresses and routes, who has flows, and the kernel log.
    Look through it before you send it to anybody. `natobs agent --recorded
    DIRECTORY` serves it.
    """
    os.umask(0o077)  # rules, addresses and the kernel log are not for every user of this machine
    machine = RecordingMachine(LiveMachine(), directory)
    config = load(config_file)
    # Looks like the agent, and must not save like it: the agent's own file goes on.
    config = replace(config, accounting=replace(config.accounting, state_file=""))
    observer = Observer(machine, config)
    observer.prime()
    _census(machine, config)
    observer.collect(_SECONDS)
    observer.stop()
    machine.finish(__version__, platform.release())
    machine.close()
    click.echo(f"{directory}: {machine.answers} answers, {len(machine.refusals)} questions that were refused")
    for key, refusal in sorted(machine.refusals.items()):
        click.echo(f"  {key}: {refusal.reason}: {refusal.detail}")
