"""Makes ports inside hosts of the lab reachable from elsewhere: ``python -m natobs.lab.relay WAY...``.

==================  ====================================================================
``7=9650``          descriptor 7, a listening socket, to 127.0.0.1:9650 of this host
``7=9650@NAME``     the same, to 127.0.0.1:9650 of the network namespace NAME of the lab
``:7001=9650@NAME`` port 7001 of this host's own loopback, to the same
==================  ====================================================================

A socket belongs to the network namespace that it was made in. So a listening
socket is made outside, on the real loopback (:func:`listening`), and inherited
by this program, which runs inside: nobody with threads enters a namespace, and
no privilege is needed. Likewise a way to another host of the lab is a socket
made there, so it crosses no link and no rule of the lab, and nothing that is
broken on them cuts it. What it meets is the loopback of that host, with its
connection tracking: where the table is full, only open connections live on.

Knows bytes only. At most 64 connections at a time for each way; more wait to be
accepted.
"""

import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial

from natobs.errors import LabError
from natobs.lab.netns import inside

LOOPBACK = "127.0.0.1"
_MOST = 64
_IDLE_SECONDS = 60.0
_CHUNK = 65536


def listening(ports: Sequence[int], option: str) -> socket.socket:
    """Listen on the real loopback, at the first of some ports that is free; 0 is any.

    Args:
        ports: which, the best first.
        option: of the command line that names another one.

    Raises:
        LabError: none is free.
    """
    reason = ""
    for port in ports:
        try:
            return socket.create_server((LOOPBACK, port), backlog=_MOST)
        except OSError as error:
            reason = error.strerror or str(error)
    raise LabError(f"cannot listen on {LOOPBACK}:{ports[-1]}: {reason}; choose another {option}")


@dataclass(frozen=True)
class Way:
    """One way in: a listening descriptor, or a port to listen on; the port and network namespace that it leads to."""

    port: int
    descriptor: int | None = None
    listen: int = 0
    namespace: str = ""

    @classmethod
    def parse(cls, text: str) -> "Way":
        """Read a way as the command line has it; raises ValueError."""
        here, _, there = text.partition("=")
        port, _, namespace = there.partition("@")
        if here.startswith(":"):
            return cls(int(port), None, int(here[1:]), namespace)
        return cls(int(port), int(here), 0, namespace)

    def __str__(self) -> str:
        here = f":{self.listen}" if self.descriptor is None else str(self.descriptor)
        return f"{here}={self.port}{'@' if self.namespace else ''}{self.namespace}"

    def open(self) -> socket.socket:
        """Give the listening socket."""
        if self.descriptor is None:
            return socket.create_server((LOOPBACK, self.listen), backlog=_MOST)
        return socket.socket(fileno=self.descriptor)

    async def connect(self) -> socket.socket:
        """Connect to where it leads; raises OSError or LabError."""
        with inside(self.namespace) if self.namespace else nullcontext():
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, (LOOPBACK, self.port))
        except BaseException:
            made.close()
            raise
        return made


async def relay(ways: Sequence[Way]) -> None:
    """Carry connections of all ways until cancelled; prints ``ready`` when it listens."""
    async with AsyncExitStack() as stack:
        for way in ways:
            handle = partial(_carry, way, asyncio.Semaphore(_MOST))
            await stack.enter_async_context(await asyncio.start_server(handle, sock=way.open()))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def _carry(
    way: Way, at_once: asyncio.Semaphore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async with at_once:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(sock=await way.connect())
        except (OSError, LabError):  # nobody listens there: the client sees its connection end, as it would there
            writer.close()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        for side in (writer, inner_writer):
            side.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # either side may go away at any time; time-outs are OSErrors too
        while data := await asyncio.wait_for(reader.read(_CHUNK), _IDLE_SECONDS):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


def main() -> None:
    """Relay the ways on the command line."""
    with suppress(KeyboardInterrupt):
        asyncio.run(relay([Way.parse(text) for text in sys.argv[1:]]))


if __name__ == "__main__":
    main()
