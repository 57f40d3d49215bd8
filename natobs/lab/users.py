"""Traffic that looks like users: ``python -m natobs.lab.users [--quiet] RATE DEAD SERVER...`` in a client host.

Begins RATE flows a second, no more than 200 at a time, each of a kind drawn by
weight: pages read over TCP, longer sessions, refused and timed-out connections,
UDP answered and ignored, DNS names found and missing. Prints its counts as one
line of JSON every second, each a running total by outcome; with ``--quiet`` nothing.
DEAD is an address that never answers; ``-`` for none, and no connection is then
meant to time out.

Outcomes are what the client saw; ``unexpected`` is one that the lab does not
explain, and stays 0 as long as the NAT does its work. Knows the ports of
:mod:`natobs.lab.servers`; refuses to know the NAT.
"""

import asyncio
import json
import random
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from natobs.lab.servers import DISCARD_PORT, DNS_PORT, ECHO_PORT, HTTP_PORTS

OUTCOMES = (
    "tcp_completed",
    "tcp_refused",
    "tcp_timed_out",
    "udp_answered",
    "udp_silent",
    "dns_found",
    "dns_missing",
    "unexpected",
)
"""Every key of the printed counts."""

_MOST_AT_ONCE = 200
_CLOSED_PORT = 81
_ANSWER_SECONDS = 3.0  # three times TCP's first retransmission time-out (RFC 6298), so one lost SYN is no failure
_SESSION_SECONDS = (1.0, 10.0)


class Users:
    """The users of one client host.

    Args:
        servers: addresses that answer.
        dead: an address that never does; empty: nobody calls it.
        rng: what draws kinds, servers and times.
        quiet: whether counts are kept from print.
    """

    def __init__(self, servers: list[str], dead: str, rng: random.Random, *, quiet: bool = False) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._servers = servers
        self._dead = dead
        self._rng = rng
        self._quiet = quiet
        self._kinds: dict[Callable[[], Awaitable[str]], int] = {
            self._page: 50,
            self._session: 10,
            self._refused: 5,
            self._timed_out: 3 if dead else 0,
            self._udp_answered: 12,
            self._udp_silent: 5,
            self._dns_found: 12,
            self._dns_missing: 3,
        }

    async def run(self, rate: float) -> None:
        """Begin ``rate`` flows a second until cancelled."""
        async with asyncio.TaskGroup() as group:
            if not self._quiet:
                group.create_task(self._report())
            at_once = asyncio.Semaphore(_MOST_AT_ONCE)
            while True:
                await at_once.acquire()
                kind = self._rng.choices(list(self._kinds), list(self._kinds.values()))[0]
                task = group.create_task(self._one(kind))
                task.add_done_callback(lambda _: at_once.release())
                await asyncio.sleep(self._rng.expovariate(rate))  # arrivals of many independent users

    async def _report(self) -> None:
        while True:
            sys.stdout.write(json.dumps(self.counts) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(1)

    async def _one(self, kind: Callable[[], Awaitable[str]]) -> None:
        try:
            outcome = await kind()
        except OSError:  # time-outs and refusals where none was planned
            outcome = "unexpected"
        self.counts[outcome] += 1

    def _server(self) -> str:
        return self._rng.choice(self._servers)

    async def _page(self) -> str:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(self._server(), self._rng.choice(HTTP_PORTS))
            writer.write(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
            answer = await reader.read()
            writer.close()
        return "tcp_completed" if answer else "unexpected"

    async def _session(self) -> str:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(self._server(), ECHO_PORT)
        await asyncio.sleep(self._rng.uniform(*_SESSION_SECONDS))
        async with asyncio.timeout(_ANSWER_SECONDS):
            writer.write(b"still there?\n")
            answer = await reader.readline()
            writer.close()
        return "tcp_completed" if answer else "unexpected"

    async def _refused(self) -> str:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await asyncio.open_connection(self._server(), _CLOSED_PORT)
        except ConnectionRefusedError:
            return "tcp_refused"
        return "unexpected"

    async def _timed_out(self) -> str:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await asyncio.open_connection(self._dead, HTTP_PORTS[0])
        except TimeoutError:
            return "tcp_timed_out"
        return "unexpected"

    async def _udp_answered(self) -> str:
        return "udp_answered" if await exchange(self._server(), ECHO_PORT, b"who\n") else "unexpected"

    async def _udp_silent(self) -> str:
        try:
            await exchange(self._server(), DISCARD_PORT, b"into the void\n")
        except TimeoutError:
            return "udp_silent"
        return "unexpected"

    async def _dns_found(self) -> str:
        answer = await exchange(self._server(), DNS_PORT, query("www.example", self._rng.randrange(65536)))
        return "dns_found" if answer[3] & 15 == 0 else "unexpected"

    async def _dns_missing(self) -> str:
        answer = await exchange(self._server(), DNS_PORT, query("missing.example", self._rng.randrange(65536)))
        return "dns_missing" if answer[3] & 15 == 3 else "unexpected"  # noqa: PLR2004  NXDOMAIN, RFC 1035 4.1.1


def query(name: str, identity: int) -> bytes:
    """Write a DNS query for the A record of a name (RFC 1035 4.1), recursion desired."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", identity, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


async def exchange(address: str, port: int, data: bytes) -> bytes:
    """Send a datagram and wait for the answer; raises TimeoutError when none comes, OSError on an ICMP error."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Waiting(answer), remote_addr=(address, port))
    try:
        transport.sendto(data)
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await answer
    finally:
        transport.close()


class _Waiting(asyncio.DatagramProtocol):
    """Hands the first datagram or error to whoever waits for it."""

    def __init__(self, answer: "asyncio.Future[bytes]") -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def main() -> None:
    """Run the users that the command line describes until this process is ended."""
    quiet, rest = sys.argv[1] == "--quiet", sys.argv[1:]
    rate, dead, *servers = rest[1:] if quiet else rest
    rng = random.Random()  # noqa: S311  traffic, not secrets
    with suppress(KeyboardInterrupt):
        asyncio.run(Users(servers, dead.removeprefix("-"), rng, quiet=quiet).run(float(rate)))


if __name__ == "__main__":
    main()
