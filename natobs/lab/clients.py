"""What a client host of the lab can do: ``python -m natobs.lab.clients ACTION ...``; each answers one line of JSON.

======================================  ====================================================
``ask ADDRESS``                         who the server saw, by TCP, UDP and ICMP
``get URL``                             body of an HTTP URL (the one answer that is no JSON)
``udp ADDRESS PORT FIRST COUNT``        one datagram from each of COUNT source ports
``tcp ADDRESS PORT FIRST COUNT``        COUNT connections, held open until standard input ends
======================================  ====================================================

FIRST is the first source port; 0 lets the kernel choose. Knows sockets; refuses
to know the lab: every address comes from the command line.
"""

import errno
import json
import os
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from urllib.request import ProxyHandler, build_opener

from natobs.lab.servers import ECHO_PORT, HTTP_PORTS

_SECONDS = 5.0
_PATIENCE = 120.0  # for all of many connections together


def ask(address: str) -> dict[str, str | None]:
    """Ask a server of the lab who it saw; None where there was no answer."""
    return {"tcp": _ask_tcp(address), "udp": _ask_udp(address), "icmp": _ask_icmp(address)}


def get(url: str, timeout: float = _SECONDS) -> str:
    """Read an HTTP URL, past any proxy that the environment names."""
    with build_opener(ProxyHandler({})).open(url, timeout=timeout) as answer:
        body: bytes = answer.read()
    return body.decode()


def bracketed(address: str) -> str:
    """Write an address as a URL wants it."""
    return f"[{address}]" if ":" in address else address


def udp_flows(address: str, port: int, first: int, count: int) -> dict[str, int]:
    """Send one datagram from each of ``count`` source ports.

    Returns:
        ``sent`` and ``failed`` numbers of datagrams (a port in use, or no buffer).
    """
    family = _family(address)
    sent = failed = 0
    for number in range(count):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("", first + number if first else 0))
                sock.sendto(b"natobs lab\n", (address, port))
                sent += 1
            except OSError:
                failed += 1
    return {"sent": sent, "failed": failed}


def tcp_flows(address: str, port: int, first: int, count: int) -> tuple[dict[str, int], list[socket.socket]]:
    """Open ``count`` connections at most 512 at a time.

    Returns:
        Numbers of ``open`` and ``failed`` connections, and the sockets that hold them open.
    """
    deadline = time.monotonic() + _PATIENCE
    held: list[socket.socket] = []
    waiting: dict[int, socket.socket] = {}
    failed = begun = 0
    poll = select.epoll()
    try:
        while begun < count or waiting:
            while begun < count and len(waiting) < 512:  # noqa: PLR2004  below every listen queue; see the docstring
                sock = _begin(address, port, first + begun if first else 0)
                begun += 1
                if sock is None:
                    failed += 1
                    continue
                waiting[sock.fileno()] = sock
                poll.register(sock, select.EPOLLOUT)
            if time.monotonic() > deadline:
                failed += len(waiting) + count - begun
                break
            for descriptor, _ in poll.poll(0.2):
                sock = waiting.pop(descriptor)
                poll.unregister(descriptor)
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    failed += 1
                    sock.close()
                else:
                    held.append(sock)
    finally:
        poll.close()
        for sock in waiting.values():
            sock.close()
    return {"open": len(held), "failed": failed}, held


def _begin(address: str, port: int, source: int) -> socket.socket | None:
    sock = socket.socket(_family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if source:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", source))
        begun = sock.connect_ex((address, port))
    except OSError:
        begun = errno.EADDRINUSE
    if begun in (0, errno.EINPROGRESS):
        return sock
    sock.close()
    return None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _or_none(question: Callable[[], str]) -> str | None:
    try:
        return question()
    except OSError:  # which includes time-outs and refusals; who asks only wants to know whether there was an answer
        return None


def _ask_tcp(address: str) -> str | None:
    return _or_none(lambda: str(json.loads(get(f"http://{bracketed(address)}:{HTTP_PORTS[0]}/"))["peer"]))


def _ask_udp(address: str) -> str | None:
    def question() -> str:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
            sock.settimeout(_SECONDS)
            sock.sendto(b"who\n", (address, ECHO_PORT))
            return str(json.loads(sock.recv(2048))["peer"])

    return _or_none(question)


def _ask_icmp(address: str) -> str | None:
    """Send an echo request, wait for its reply, then ask the server by HTTP who had sent it."""
    version6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if version6 else socket.IPPROTO_ICMP
    kind = 128 if version6 else 8

    def question() -> str:
        # a datagram socket of ICMP: the kernel sets identifier and checksum (ping_group_range allows it in the lab)
        with socket.socket(_family(address), socket.SOCK_DGRAM, protocol) as sock:
            sock.settimeout(_SECONDS)
            sock.sendto(struct.pack("!BBHHH", kind, 0, 0, 0, 1) + os.urandom(8), (address, 0))
            sock.recv(2048)
        return str(json.loads(get(f"http://{bracketed(address)}:{HTTP_PORTS[0]}/pings"))[-1])

    return _or_none(question)


def main() -> None:
    """Do what the command line says."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    match sys.argv[1:]:
        case ["ask", address]:
            _say(ask(address))
        case ["get", url]:
            sys.stdout.write(get(url))
        case ["udp", address, port, first, count]:
            _say(udp_flows(address, int(port), int(first), int(count)))
        case ["tcp", address, port, first, count]:
            numbers, _held = tcp_flows(address, int(port), int(first), int(count))
            _say(numbers)
            sys.stdin.read()
        case _:
            sys.exit(f"usage: {__doc__}")


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
