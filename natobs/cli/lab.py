"""``natobs lab``: a NAT in network namespaces, with traffic, as root or as an ordinary user."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING

import click

from natobs.cli.lab_fault import fault
from natobs.cli.lab_gameday import gameday, soak
from natobs.cli.lab_selftest import selftest
from natobs.cli.lab_stack import DEFAULT_NAME, named, stack_up
from natobs.lab import inventory, launch, state, sweep, traffic
from natobs.lab.faults import journal
from natobs.lab.topology import BACKENDS, TOPOLOGIES, Backend, Topology

if TYPE_CHECKING:
    from natobs.lab.demo import Demo

_PLAIN_LINE_SECONDS = 5.0


@click.group(name="lab", epilog="Example: natobs lab demo")
def command() -> None:
    """Build a NAT in network namespaces, with traffic.

    Nothing outside these namespaces is touched, and they end with the lab.
    """


for _each in (fault, gameday, soak, selftest):
    command.add_command(_each)


def _shape(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that describe a topology; the function gets them as ``shape``, which gives one by its name."""

    @wraps(function)
    def with_shape(  # one argument for each option
        *args: object, topology: str, backend: Backend, fully_random: bool, ipv6: bool, **kwargs: object
    ) -> None:
        def shape(name: str) -> Topology:
            made = TOPOLOGIES[topology](name)
            return replace(made, nat=replace(made.nat, backend=backend, fully_random=fully_random), ipv6=ipv6)

        function(*args, shape=shape, **kwargs)

    decorated: Callable[..., None] = with_shape
    for option in (
        click.option("--ipv6/--no-ipv6", default=True, show_default=True, help="Whether IPv6 exists in the lab."),
        click.option("--fully-random", is_flag=True, help="Let the NAT choose ports at random."),
        click.option(
            "--backend",
            type=click.Choice(BACKENDS),
            default="nftables",
            show_default=True,
            help="Language of the NAT's rules.",
        ),
        click.option(
            "--topology",
            type=click.Choice(list(TOPOLOGIES)),
            default="two-armed",
            show_default=True,
            help="One interface, two interfaces, or two and a pool of SNAT addresses.",
        ),
    ):
        decorated = option(decorated)
    return decorated


_name = click.option("--name", default=DEFAULT_NAME, show_default=True, help="Name of the lab.")


@command.command(epilog="Example: natobs lab up --stack --time-scale 15")
@_name
@_shape
@click.option("--servers/--no-servers", default=True, show_default=True, help="Start the servers of the internet.")
@click.option("--stack", is_flag=True, help="With agents, probers, users, Prometheus and Alertmanager.")
@click.option("--nats", type=click.IntRange(1, 9), help="With --stack: NATs in the cluster.  [default: 1]")
@click.option("--time-scale", type=click.FloatRange(1, 300), help="With --stack: shorten intervals so much.")
@click.option("--prometheus-port", type=click.IntRange(1, 65535), help="With --stack [default: 9090 or any].")
def up(  # noqa: PLR0913 - one argument an option, as click passes them
    name: str,
    nats: int | None,
    time_scale: float | None,
    prometheus_port: int | None,
    *,
    shape: Callable[[str], Topology],
    servers: bool,
    stack: bool,
) -> None:
    """Build a lab and leave it running in the background."""
    if not stack and (nats or time_scale or prometheus_port):
        raise click.UsageError("--nats, --time-scale and --prometheus-port are of --stack")
    for found in sweep.sweep():
        click.echo(f"removed what was left of lab {found.lab} (process {found.pid})")
    if stack:
        stack_up(name, shape, nats=nats or 1, time_scale=time_scale or 1, prometheus_port=prometheus_port)
        return
    saved, fresh = state.up(shape(name))
    if not fresh:
        click.echo(f"lab {name} is already up since {_clock(saved.since)}")
        return
    lab = saved.lab()
    if servers:
        traffic.start_servers(lab).release()
    click.echo(f"lab {name} is up: {', '.join(saved.topology.hosts)}")
    address = saved.topology.server_addresses(4)[0]
    option = named(name)
    click.echo(f"try:   natobs lab exec{option} client1 -- curl -s http://{address}/")
    click.echo(f"then:  natobs lab exec{option} nat -- conntrack -L")
    click.echo(f"end:   natobs lab down{option}")


@command.command(epilog="Example: natobs lab down --all")
@_name
@click.option("--all", "every", is_flag=True, help="End all labs of this user.")
def down(name: str, *, every: bool) -> None:
    """End a lab and everything in it."""
    sweep.sweep()
    labs = [saved for saved in state.running() if every or saved.name == name]
    for saved in labs:
        state.down(saved)
        click.echo(f"lab {saved.name} is down")
    if not labs:
        click.echo("no lab is up" if every else f"lab {name} is not up")


@command.command(epilog="Example: natobs lab status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def status(*, as_json: bool) -> None:
    """Show the labs that are up: hosts, addresses, processes, faults, since when."""
    labs = state.running()
    if as_json:
        click.echo(json.dumps([_as_dict(saved) for saved in labs], indent=2))
        return
    if not labs:
        click.echo("no lab is up")
    for saved in labs:
        nat = saved.topology.nat
        arms = "one-armed" if nat.arms == 1 else "two-armed"
        click.echo(
            f"lab {saved.name}: {arms}, {nat.backend}, up since {_clock(saved.since)}, process {saved.holder.pid}"
        )
        for record in journal.injected(saved.lab()):
            click.echo(f"  broken        {record.fault} since {_clock(record.since)}")
        for what, url in saved.urls.items():
            click.echo(f"  {what:<13} {url}")
        for lab in saved.lab().worlds:
            for host in inventory.inventory(lab):
                click.echo(f"  {host.name:<9} {' '.join(host.addresses)}")
                for process in host.processes:
                    click.echo(f"            {process.pid} {process.command}")


def _as_dict(saved: state.Saved) -> dict[str, object]:
    return {
        "name": saved.name,
        "since": saved.since,
        "pid": saved.holder.pid,
        "user_namespace": saved.holder.user_namespace,
        "topology": asdict(saved.topology),
        "faults": [{"name": record.fault, "since": record.since} for record in journal.injected(saved.lab())],
        "hosts": [asdict(host) for host in inventory.inventory(saved.lab())],
        "beside": [
            {"name": lab.topology.name, "hosts": [asdict(host) for host in inventory.inventory(lab)]}
            for lab in saved.lab().worlds[1:]
        ],
        "urls": saved.urls,
    }


@command.command(
    name="exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: natobs lab exec nat -- conntrack -S",
)
@_name
@click.argument("host")
@click.argument("argv", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str, host: str, argv: tuple[str, ...]) -> None:
    """Run a command in a host of a lab; its exit status is passed through."""
    words = list(argv[1:] if argv[0] == "--" else argv)
    if not words:
        raise click.UsageError("which command? for example: natobs lab exec nat -- conntrack -S")
    entered = state.find(name).lab().host(host).command(["env", "--default-signal=INT,QUIT", *words])
    # What the terminal sends is for the command alone; nsenter, which inherits this, must survive it to pass the
    # command's own status on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    environment = {**os.environ, "PATH": launch.environment()["PATH"]}
    os.execvpe(entered[0], entered, environment)  # noqa: S606  an argument list, no shell


@command.command(epilog="Example: natobs lab demo --topology one-armed")
@_shape
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Loopback port that shows the agent [default: 9650 or any]."
)
@click.option("--seconds", type=click.FloatRange(min=0), help="End by itself after this time.")
def demo(port: int | None, seconds: float | None, *, shape: Callable[[str], Topology]) -> None:
    """Run a NAT with users, servers and the agent until Ctrl-C."""
    from natobs.lab.demo import demo as running_demo  # noqa: PLC0415  only this command needs it

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end: like Ctrl-C
    sweep.sweep()
    try:
        with running_demo(shape("demo"), port) as running:
            _explain(running)
            _show(running, seconds)
    except KeyboardInterrupt:
        click.echo()
    click.echo("the lab is gone, nothing is left behind")


def _explain(running: "Demo") -> None:
    nat = running.lab.topology.nat
    click.echo(f"a NAT ({nat.backend}) with {len(running.lab.topology.clients)} clients behind it")
    click.echo(f"  in a browser   {running.url}")
    click.echo(f"  on a terminal  curl {running.url}metrics")
    click.echo("  Ctrl-C ends it")


def _show(running: "Demo", seconds: float | None) -> None:
    """Show counts until time is up: one line that renews itself on a terminal, plain lines elsewhere."""
    deadline = None if seconds is None else time.monotonic() + seconds
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  only where a person reads

        with Console().status("traffic begins") as line:
            while deadline is None or time.monotonic() < deadline:
                time.sleep(0.25)
                line.update(_words(running.counts()))
        click.echo(_words(running.counts()))
        return
    next_line = time.monotonic()
    while deadline is None or time.monotonic() < deadline:
        counts = running.counts()
        if time.monotonic() >= next_line:
            click.echo(_words(counts))
            next_line += _PLAIN_LINE_SECONDS
        time.sleep(0.1)
    click.echo(_words(running.counts()))


def _words(counts: dict[str, int]) -> str:
    if not counts:
        return "traffic begins"
    groups: dict[str, list[str]] = {}
    for outcome, number in counts.items():
        kind, _, how = outcome.partition("_")
        if how:
            groups.setdefault(kind, []).append(f"{number} {how.replace('_', ' ')}")
        elif number:  # "unexpected": shown only when there is something to show
            groups[outcome] = [str(number)]
    return "; ".join(f"{kind} {', '.join(parts)}" for kind, parts in groups.items())


def _clock(since: float) -> str:
    return datetime.fromtimestamp(since, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
