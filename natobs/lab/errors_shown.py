"""The agent, shown a card that receives damaged frames: ``python -m natobs.lab.errors_shown DEVICE RATE OPTION...``.

Virtual interfaces never count receive errors (drivers/net/veth.c). So the
kernel's answer about the interfaces is changed on its way to the agent: the
error counter of DEVICE grows by RATE a second. Everything else is as the kernel
has it. OPTION are ``--config`` and ``--listen`` of ``natobs agent``. Prints
``ready``, and ends by SIGTERM.
"""

import argparse
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from natobs.config import Config, load
from natobs.exposition.agent import Agent
from natobs.kernel import device, link, netlink
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Query

_IFLA_STATS64 = 23
_RX_ERRORS = struct.Struct("=Q")
_RX_ERRORS_AT = 4 * 8  # the fifth of struct rtnl_link_stats64 (include/uapi/linux/if_link.h)


class DamagedFrames(LiveMachine):
    """This machine, with receive errors of one device.

    Args:
        name: of the device.
        rate: errors a second.
        clock: seconds, from any beginning.
    """

    def __init__(self, name: str, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._name = name
        self._rate = rate
        self._clock = clock
        self._began = clock()

    def ask(self, query: Query) -> bytes:
        answer = super().ask(query)
        if query.key != link.LINKS.key:
            return answer
        return damaged(answer, self._name, int((self._clock() - self._began) * self._rate))


def damaged(answer: bytes, name: str, errors: int) -> bytes:
    """Add receive errors of one device to the kernel's answer about all of them."""
    changed = bytearray(answer)
    with memoryview(changed) as whole:
        for body in netlink.messages(whole, device.RTM_NEWLINK):
            found = netlink.attributes(body, device.IFINFOMSG.size)
            if device.name_in(found) == name:
                counters = found[_IFLA_STATS64]
                (real,) = _RX_ERRORS.unpack_from(counters, _RX_ERRORS_AT)
                _RX_ERRORS.pack_into(counters, _RX_ERRORS_AT, real + errors)
            del found, body
    return bytes(changed)


def main() -> None:
    """Serve as the command line says until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("device")
    parser.add_argument("rate", type=float)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--listen", action="append")
    given, _others = parser.parse_known_args()

    def configure() -> Config:
        config = load(given.config)
        return replace(config, agent=replace(config.agent, listen=tuple(given.listen))) if given.listen else config

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    agent = Agent(DamagedFrames(given.device, given.rate), configure)
    agent.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM})
    agent.stop()


if __name__ == "__main__":
    main()
