"""The lab's internet: ``python -m natobs.lab.servers ADDRESS...`` answers on every address given.

===========  =====================================================================
TCP 80, 443  one HTTP answer that says who asked: ``{"peer": "203.0.113.10", ...}``
TCP 7        echo (RFC 862); holds a connection as long as its client does
UDP 7        answers each datagram with a line that says who asked (the same JSON)
UDP 9        discard (RFC 863): reads and never answers
UDP 4007     echo (RFC 862): each datagram comes back as it is
UDP 53       DNS: an A or AAAA question for any name gets the server's own address,
             a name that starts with ``missing`` gets NXDOMAIN
===========  =====================================================================

``GET /pings`` lists the source addresses of the last ICMP echo requests, as the
internet sees them. Any other port refuses. Prints ``ready`` when it listens.
Knows protocols just well enough to be spoken to by a lab; it is no server for
anything else.
"""

import asyncio
import json
import resource
import socket
import struct
import sys
from collections import deque
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import cast

HTTP_PORTS = (80, 443)
ECHO_PORT = 7
DISCARD_PORT = 9
DATAGRAM_ECHO_PORT = 4007
DNS_PORT = 53

_BACKLOG = 16384
_HEAD_SECONDS = 10.0
_HEAD_BYTES = 8192
_DNS_HEAD = struct.Struct("!6H")  # RFC 1035 4.1.1: id, flags, then four counts
_TYPE = {4: 1, 6: 28}  # A and AAAA, RFC 1035 and RFC 3596
_NXDOMAIN = 3
_ICMP_ECHO = {socket.AF_INET: 8, socket.AF_INET6: 128}

_pings: deque[str] = deque(maxlen=64)


def who(peer: tuple[object, ...], local: tuple[object, ...]) -> bytes:
    """Say in one line of JSON who asked whom: ``peer``, ``port``, ``local``, ``local_port``."""
    words = {"peer": peer[0], "port": peer[1], "local": local[0], "local_port": local[1]}
    return json.dumps(words).encode() + b"\n"


def dns_answer(question: bytes, address: str) -> bytes | None:
    """Answer a DNS query with the server's own address; None for what is no query.

    RFC 1035 4.1: header, then one question. Other record types get an empty answer.
    """
    if len(question) < _DNS_HEAD.size + 5:
        return None
    identity, flags, count, *_ = _DNS_HEAD.unpack_from(question)
    if flags & 0x8000 or count != 1:  # a response, or not one question
        return None
    end = _DNS_HEAD.size
    while end < len(question) and question[end] != 0:
        end += question[end] + 1
    if end + 5 > len(question):
        return None
    asked = question[_DNS_HEAD.size : end + 5]
    (kind,) = struct.unpack_from("!H", question, end + 1)
    missing = asked[1:8].lower() == b"missing"
    wanted = not missing and kind == _TYPE[ip_address(address).version]
    # 0x8580: a response, authoritative, recursion desired and available
    head = _DNS_HEAD.pack(identity, 0x8580 | (_NXDOMAIN if missing else 0), 1, int(wanted), 0, 0)
    if not wanted:
        return head + asked
    data = ip_address(address).packed
    return head + asked + struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data  # 0xc00c points at the question


class _Udp(asyncio.DatagramProtocol):
    """One UDP socket of the internet; what it answers depends on its port."""

    def __init__(self, address: str, port: int) -> None:
        self._local = (address, port)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # not isinstance: asyncio's own datagram transport is no subclass of DatagramTransport before Python 3.12
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if self._local[1] == ECHO_PORT:
            self._transport.sendto(who(addr, self._local), addr)
        elif self._local[1] == DATAGRAM_ECHO_PORT:
            self._transport.sendto(data, addr)
        elif self._local[1] == DNS_PORT:
            answer = dns_answer(data, self._local[0])
            if answer is not None:
                self._transport.sendto(answer, addr)


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        if head.startswith(b"GET /pings "):
            body = json.dumps(list(_pings)).encode() + b"\n"
        else:
            body = who(writer.get_extra_info("peername"), writer.get_extra_info("sockname"))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
    await _close(writer)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.close()
        await writer.wait_closed()


def _watch_pings() -> None:
    """Note who sends ICMP echo requests; the kernel answers them by itself."""
    protocols = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
    for family, protocol in protocols.items():
        try:
            raw = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        except OSError:
            continue  # a lab without IPv6
        asyncio.get_running_loop().add_reader(raw, _note_ping, raw)


def _note_ping(raw: socket.socket) -> None:
    with suppress(BlockingIOError):
        data, peer = raw.recvfrom(2048)
        # an IPv4 raw socket gives the IP header too, an IPv6 one does not (raw(7), RFC 3542)
        start = (data[0] & 15) * 4 if raw.family == socket.AF_INET else 0
        if data[start] == _ICMP_ECHO[socket.AddressFamily(raw.family)]:
            _pings.append(peer[0])


async def serve(addresses: list[str]) -> None:
    """Listen on all ports of all addresses until cancelled."""
    loop = asyncio.get_running_loop()
    for address in addresses:
        for port in HTTP_PORTS:
            await asyncio.start_server(_http, address, port, backlog=_BACKLOG, limit=_HEAD_BYTES)
        await asyncio.start_server(_echo, address, ECHO_PORT, backlog=_BACKLOG)
        for port in (ECHO_PORT, DISCARD_PORT, DATAGRAM_ECHO_PORT, DNS_PORT):
            await loop.create_datagram_endpoint(partial(_Udp, address, port), local_addr=(address, port))
    _watch_pings()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    """Serve the addresses on the command line."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # tests hold tens of thousands of connections open
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(sys.argv[1:]))


if __name__ == "__main__":
    main()
