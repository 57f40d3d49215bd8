"""Makes a port inside a host of the lab reachable from outside: ``python -m natobs.lab.relay DESCRIPTOR PORT``.

A socket belongs to the network namespace that it was made in. So the listening
socket is made outside, on the real loopback, and inherited by this program,
which runs inside and connects to 127.0.0.1:PORT there: no namespace is entered
by anybody who already has threads, and no privilege is needed.

Knows bytes only. At most 64 connections at a time; more wait to be accepted.
"""

import asyncio
import socket
import sys
from contextlib import suppress

_MOST = 64
_IDLE_SECONDS = 60.0
_CHUNK = 65536


async def relay(listening: socket.socket, port: int) -> None:
    """Carry connections of a listening socket to a local port until cancelled."""
    at_once = asyncio.Semaphore(_MOST)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with at_once:
            try:
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:  # nobody listens inside: the client outside sees its connection end, as it would there
                writer.close()
                return
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            for side in (writer, inner_writer):
                side.close()

    server = await asyncio.start_server(carry, sock=listening)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # either side may go away at any time; time-outs are OSErrors too
        while data := await asyncio.wait_for(reader.read(_CHUNK), _IDLE_SECONDS):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


def main() -> None:
    """Relay the descriptor on the command line to the port on the command line."""
    descriptor, port = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(relay(socket.socket(fileno=int(descriptor)), int(port)))


if __name__ == "__main__":
    main()
