"""A crowd at a port: ``python -m natobs.lab.crowd HOW ADDRESS PORT COUNT`` in a host of the lab, until it is ended.

=============  ====================================================================
``half-open``  COUNT connections that send half a request and wait
``slow``       COUNT connections that ask for the metrics and read a byte a second
``many``       COUNT connections at once that ask, read all and come back
=============  ====================================================================

One that is closed, or cannot be opened within its time, is replaced. Prints
``running`` when it begins. Knows sockets; refuses to know what is served.
"""

import asyncio
import resource
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

_HALF = b"GET /metrics HTTP/1.1\r\nHost: lab\r\n"
_WHOLE = _HALF + b"Connection: close\r\n\r\n"
_CONNECT_SECONDS = 20.0
_ANSWER_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_SPARE = 64
_RECEIVE_BUFFER = 2048  # so that a slow reader's answer waits in the server


async def half_open(client: socket.socket) -> None:
    """Send half a request, and wait until the server has had enough."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, _HALF)
    await loop.sock_recv(client, 1)


async def slow(client: socket.socket) -> None:
    """Ask, and read a byte a second for as long as the server bears it."""
    loop = asyncio.get_running_loop()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    await loop.sock_sendall(client, _WHOLE)
    while True:
        if not await loop.sock_recv(client, 1):
            return
        await asyncio.sleep(1)


async def many(client: socket.socket) -> None:
    """Ask, and read everything."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, _WHOLE)
    while await loop.sock_recv(client, 1 << 16):
        pass


Manner = Callable[[socket.socket], Awaitable[None]]
MANNERS: Mapping[str, Manner] = {"half-open": half_open, "slow": slow, "many": many}


async def crowd(manner: Manner, address: str, port: int, count: int) -> None:
    """Keep so many clients at a port until cancelled."""

    async def one() -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(OSError), socket.socket() as client:  # refused, reset, too slow: the next one comes
                client.setblocking(False)
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.sock_connect(client, (address, port))
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await manner(client)
            await asyncio.sleep(_PAUSE_SECONDS)

    sys.stdout.write("running\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as clients:
        for _number in range(count):
            clients.create_task(one())


def main() -> None:
    """Crowd until this process is ended."""
    how, address, port, count = sys.argv[1:]
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(count) + _SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    with suppress(KeyboardInterrupt):
        asyncio.run(crowd(MANNERS[how], address, int(port), int(count)))


if __name__ == "__main__":
    main()
