"""A longer way back from the lab's internet to the NAT: packets are held for a while in user space.

``python -m benchmarks.delay_line SECONDS SCATTER`` prints ``ready`` and delays
until its standard input ends. What this host sends to the NAT is routed into a
TUN device, held until SECONDS and an exponentially distributed time with the
mean (and standard deviation) SCATTER have passed, and sent on with a mark that
leads it to the ordinary route. For kernels without netem.

An echo is held from when the kernel stamped the request: how soon this process
was awake to take it, which depends on who has been busy, is no part of the path.
"""

import fcntl
import heapq
import itertools
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import sightings
from natobs.lab import traffic
from natobs.lab.lab import Lab

_DEVICE, _MARK, _TABLE = "delay", 88, 88
_SO_MARK = 36
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_LARGEST = 65_535
_DESTINATION = slice(16, 20)
_AWAKE_SECONDS = 0.0004
"""It stays awake for so long before a packet is due: a sleeper may wake late, later after some than after others."""
_ECHO = slice(24, 28)
"""Identifier and sequence number of an echo, in an IPv4 packet without options; in a frame 14 bytes further on."""


@contextmanager
def delayed(lab: Lab, seconds: float, scatter: float) -> Iterator[None]:
    """Hold back what the lab's internet sends to the NAT, while the block runs."""
    internet = lab.host("internet")
    rule = ["to", lab.topology.outside_network(4), "not", "fwmark", str(_MARK), "lookup", str(_TABLE)]
    process = internet.popen(
        internet.python("benchmarks.delay_line", str(seconds), str(scatter)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None,
    )
    traffic.first_line(process, 20)
    internet.run(["ip", "link", "set", _DEVICE, "up"])
    internet.run(["ip", "route", "add", "default", "dev", _DEVICE, "table", str(_TABLE)])
    internet.run(["ip", "rule", "add", "pref", "100", *rule])
    try:
        yield
    finally:
        internet.run(["ip", "rule", "del", "pref", "100"])
        process.popen.communicate(timeout=10)


def _open_tunnel() -> int:
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tunnel, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    return tunnel


def main() -> None:
    """Delay until standard input ends."""
    seconds, scatter = map(float, sys.argv[1:])
    tunnel = _open_tunnel()
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.SOL_SOCKET, _SO_MARK, _MARK)
    requests = sightings.open_capture("eth0")
    came: dict[bytes, float] = {}
    chance = random.Random(1)  # noqa: S311 - a benchmark's noise
    held: list[tuple[float, int, bytes]] = []
    numbers = itertools.count()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        wait = max(0.0, held[0][0] - time.time() - _AWAKE_SECONDS) if held else None
        readable = select.select([tunnel, sys.stdin], [], [], wait)[0]
        now = time.time()
        if tunnel in readable:
            packet = os.read(tunnel, _LARGEST)
            for frame, nanoseconds, outgoing in sightings.read(requests):
                if not outgoing:
                    came[frame[14:][_ECHO]] = nanoseconds / 1e9
            release = came.pop(packet[_ECHO], now) + seconds + (chance.expovariate(1 / scatter) if scatter else 0.0)
            heapq.heappush(held, (release, next(numbers), packet))
        while held and held[0][0] <= now:
            packet = heapq.heappop(held)[2]
            out.sendto(packet, (socket.inet_ntoa(packet[_DESTINATION]), 0))
        if sys.stdin in readable:
            return


if __name__ == "__main__":
    main()
