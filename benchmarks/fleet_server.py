"""Serves simulated NATs: ``python -m benchmarks.fleet_server PORT NATS BEGIN`` answers ``GET /agent/7``, ``/prober/7``.

BEGIN is the simulation's beginning in seconds after the epoch. One process, one
thread; prints ``ready`` when it listens. Knows as much of HTTP as Prometheus
needs for a scrape.
"""

import asyncio
import re
import sys
import time
from contextlib import suppress

from benchmarks.fleet_scrapes import KINDS, Scrape, Simulated

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_PATH = re.compile(rb"GET /(agent|prober)/(\d+) ")
_BACKLOG = 4096


class Fleet:
    """All simulated NATs.

    Args:
        nats: how many.
        begin: the simulation's beginning, in seconds after the epoch.
    """

    def __init__(self, nats: int, begin: float) -> None:
        scrapes = {kind: Scrape.recorded(kind) for kind in KINDS}
        self._all = {kind: [Simulated(scrapes[kind], number) for number in range(nats)] for kind in KINDS}
        self._begin = begin

    def answer(self, request: bytes) -> bytes:
        """Give the whole response to the head of a request."""
        match = _PATH.match(request)
        if match is None or int(match[2]) >= len(self._all["agent"]):
            return _NOT_FOUND
        body = self._all[match[1].decode()][int(match[2])].text(time.time() - self._begin).encode()
        return _HEAD.format(len(body)).encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it ends."""
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            while True:
                writer.write(self.answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        writer.close()


async def _run(port: int, fleet: Fleet) -> None:
    server = await asyncio.start_server(fleet.serve, "127.0.0.1", port, backlog=_BACKLOG)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until this process is ended."""
    port, nats, begin = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(int(port), Fleet(int(nats), float(begin))))


if __name__ == "__main__":
    main()
