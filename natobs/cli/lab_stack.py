"""What ``natobs lab up --stack`` does and says. No command of its own."""

from collections.abc import Callable

import click

from natobs.lab.topology import Topology

DEFAULT_NAME = "default"
"""Name of a lab that was given none."""

_AGENT_PORT = 9650
_PROMETHEUS_PORT = 9090
_ALERTMANAGER_PORT = 9093


def named(name: str) -> str:
    """The option that a further command needs for a lab of this name; empty for the usual one."""
    return "" if name == DEFAULT_NAME else f" --name {name}"


def stack_up(
    name: str, shape: Callable[[str], Topology], *, nats: int, time_scale: float, prometheus_port: int | None
) -> None:
    """Start a stack in the background and say where it is to be seen.

    Args:
        name: of the lab, and of the cluster.
        shape: makes the topology of each NAT.
        nats: how many.
        time_scale: by how much intervals are shortened.
        prometheus_port: of the real loopback; None for the usual one, or any if that is taken.
    """
    from natobs.lab.stack import background, generated, plan, stack  # noqa: PLC0415  only this option needs it

    wanted = plan.cluster(name, shape, nats=nats, timing=plan.Timing(time_scale))
    ports = {
        stack.PROMETHEUS: (_PROMETHEUS_PORT, 0) if prometheus_port is None else (prometheus_port,),
        stack.ALERTMANAGER: (_ALERTMANAGER_PORT, 0),
        wanted.nat(0): (_AGENT_PORT, 0),
    }
    saved, fresh = background.up(wanted, generated.inputs(wanted.timing, ports))
    timing = wanted.timing
    click.echo(f"lab {name} is {'up' if fresh else 'already up'} with its stack")
    if fresh:
        click.echo(f"  time scale {timing.scale:g}: scraped every {timing.scrape:g} s, probed every {timing.probe:g} s")
    for what, url in saved.urls.items():
        click.echo(f"  {what:<13} {url}")
    option = named(name)
    click.echo(f"pages: natobs lab exec{option} monitor -- tail -f /run/stack/pages.jsonl")
    click.echo(f"end:   natobs lab down{option}")
