"""Ordinary noise for a while, after which nobody must have been told of anything.

Bursts of connections, short spikes of CPU, a probe that is lost now and then, a
destination that refuses: what every NAT lives through.
"""

import os
import random
import time
from collections.abc import Callable

from natobs.lab.gameday import judge
from natobs.lab.gameday.model import Notice
from natobs.lab.gameday.setting import Setting
from natobs.lab.lab import Lab
from natobs.lab.servers import HTTP_PORTS
from natobs.lab.stack.stack import Stack, require, running

_TABLE = "lab_noise"
_LOSE_ONE = """
table inet lab_noise {
    chain received {
        type filter hook input priority filter; policy accept;
        limit rate 1/minute burst 1 packets drop
    }
}
"""
_REFUSED_PORT = 4444
_NOISE_SECONDS = 10.0
_FAILING = "3"
"""Flows that fail at a time: four noises may fall into the shortened five minutes of a rule, and a destination of which
more than 20 flows fail within them is worth a ticket."""


def soak(seconds: float, setting: Setting, say: Callable[[str], None], *, rng: random.Random) -> list[Notice]:
    """Make noise; give what somebody was told of.

    Args:
        seconds: how long, after a time of quiet that fills the windows of rules.
        setting: with what.
        say: takes lines of progress.
        rng: what draws the noises.
    """
    require()
    with running(setting.stack("soak", 1), setting.inputs()) as stack:
        began = time.time() + setting.baseline
        say(f"quiet for {setting.baseline:.0f} s, then {len(NOISES)} kinds of noise for {seconds / 60:g} minutes")
        time.sleep(setting.baseline)
        last: dict[str, float] = {}
        while time.time() < began + seconds:
            noise = rng.choice(NOISES)
            noise(stack.lab)
            last[noise.__name__.lstrip("_")] = time.time()
            _rest(stack, rng.uniform(0.5, 1.5) * _NOISE_SECONDS)
            told = judge.surprises((), stack.pages(), began)
            left = max(0.0, began + seconds - time.time())
            say(f"{noise.__name__.lstrip('_').replace('_', ' ')}; {left:.0f} s left, {len(told)} told")
        return judge.surprises((), stack.pages(), began)


def _rest(stack: Stack, seconds: float) -> None:
    stack.check()
    time.sleep(seconds)


def _a_burst_of_connections(lab: Lab) -> None:
    client, server = lab.host(lab.topology.clients[-1]), lab.topology.server_addresses(4)[2]
    client.run(client.python("natobs.lab.clients", "tcp", server, str(HTTP_PORTS[0]), "0", "300"))


def _a_spike_of_cpu(lab: Lab) -> None:
    cpu = str(min(os.sched_getaffinity(0)))
    lab.host("nat").run(["timeout", "1", *lab.host("nat").python("natobs.lab.load", "spin", cpu)], check=False)


def _a_lost_packet(lab: Lab) -> None:
    internet = lab.host("internet")
    internet.run(["nft", "-f", "-"], stdin=_LOSE_ONE)
    time.sleep(1)
    internet.run(["nft", "delete", "table", "inet", _TABLE])


def _a_refused_destination(lab: Lab) -> None:
    client, server = lab.host(lab.topology.clients[-1]), lab.topology.server_addresses(4)[3]
    client.run(client.python("natobs.lab.clients", "tcp", server, str(_REFUSED_PORT), "0", _FAILING))


def _an_address_of_nobody(lab: Lab) -> None:
    client = lab.host(lab.topology.clients[-1])
    client.run(client.python("natobs.lab.clients", "udp", lab.topology.dead_address(4), "9", "0", _FAILING))


NOISES = (
    _a_burst_of_connections,
    _a_spike_of_cpu,
    _a_lost_packet,
    _a_refused_destination,
    _an_address_of_nobody,
)
"""What is done now and then; each takes a moment."""
