"""Load without end, for faults: ``python -m natobs.lab.load ACTION ...`` in a host of the lab, until it is ended.

=====================================  ============================================================
``datagrams ADDRESS PORT BYTES RATE``  RATE datagrams a second of one flow, evenly spaced
``flood ADDRESS PORT CPU``             datagrams of one flow as fast as one CPU can send and forward
``spin CPU``                           nothing but a loop that keeps one CPU busy
``pages ADDRESS PORT RATE``            begins RATE connections a second, reads a page over each
=====================================  ============================================================

Prints ``running`` when it begins. Knows sockets and CPUs; refuses to know the lab.
"""

import asyncio
import os
import random
import socket
import sys
import time
from contextlib import suppress

_PAGE_SECONDS = 10.0
_MOST_PAGES = 500
_GET = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"


def datagrams(address: str, port: int, size: int, rate: float) -> None:
    """Send datagrams of one flow at an even rate; what cannot be sent now is left out."""
    sock = _connected(address, port)
    began = time.monotonic()
    for number in range(sys.maxsize):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        with suppress(OSError):  # no route, no buffer, an ICMP error: the load goes on
            sock.send(bytes(size))


def flood(address: str, port: int, cpu: int) -> None:
    """Send datagrams of one flow as fast as possible; what forwards them runs on the same CPU."""
    os.sched_setaffinity(0, {cpu})
    sock = _connected(address, port)
    while True:
        with suppress(OSError):
            sock.send(b"natobs lab\n")


def spin(cpu: int) -> None:
    """Keep one CPU busy."""
    os.sched_setaffinity(0, {cpu})
    while True:
        pass


async def pages(address: str, port: int, rate: float) -> None:
    """Begin connections as many independent users do, and read one page over each."""
    at_once = asyncio.Semaphore(_MOST_PAGES)
    rng = random.Random()  # noqa: S311 - traffic, not secrets

    async def page() -> None:
        async with at_once:
            with suppress(OSError):  # time-outs too: that it fails is what the load is for
                async with asyncio.timeout(_PAGE_SECONDS):
                    reader, writer = await asyncio.open_connection(address, port)
                    writer.write(_GET)
                    await reader.read()
                    writer.close()

    async with asyncio.TaskGroup() as group:
        while True:
            if not at_once.locked():
                group.create_task(page())
            await asyncio.sleep(rng.expovariate(rate))


def _connected(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, port))
    return sock


def main() -> None:
    """Do what the command line says."""
    sys.stdout.write("running\n")
    sys.stdout.flush()
    match sys.argv[1:]:
        case ["datagrams", address, port, size, rate]:
            datagrams(address, int(port), int(size), float(rate))
        case ["flood", address, port, cpu]:
            flood(address, int(port), int(cpu))
        case ["spin", cpu]:
            spin(int(cpu))
        case ["pages", address, port, rate]:
            asyncio.run(pages(address, int(port), float(rate)))
        case _:
            sys.exit(f"usage: {__doc__}")


if __name__ == "__main__":
    main()
