"""Open an exact number of flows of several kinds at once: ``python -m tests.lab.open_flows JSON``.

JSON is a list of steps [kind, address, port, count, seconds]. Prints a list of
what became of each: how many flows were answered, refused, or neither within
the seconds; and how many SYNs were sent ``again``, as the kernel says, which
sends them while this process is put aside. A TCP flow that was answered is
closed by FIN, ``tcp-abort`` by a reset, both a while later: what overtakes the
handshake's last packet on another CPU leaves that one without a socket, and the
server answers it with a reset. ``tcp-again`` ends as soon as each flow has sent
its SYN again; ``udp-again`` sends a second datagram after half the seconds.
"""

import errno
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from select import POLLIN, POLLOUT, poll

from natobs.wire import tcp_info

ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
PAYLOAD = b"natobs lab\n"
HANDSHAKE_SECONDS = 0.2


def opened(kind: str, address: str, port: int) -> socket.socket | None:
    """A flow that has begun; None where this host itself refuses, as without a route."""
    try:
        return begun(kind, address, port)
    except OSError:
        return None


def begun(kind: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if kind.startswith("tcp"):
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        result = sock.connect_ex((address, port))
        if result not in {0, errno.EINPROGRESS}:
            raise OSError(result, os.strerror(result))
    elif kind == "icmp":
        protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
        sock.connect((address, 0))
        sock.send(struct.pack("!BBHHH", ECHO_REQUEST[family], 0, 0, 0, 1) + os.urandom(8))
    else:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.connect((address, port))
        sock.send(PAYLOAD)
    return sock


def outcome(sock: socket.socket, kind: str) -> str:
    """What became of a flow that has news."""
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return "refused"
    if not kind.startswith("tcp"):
        sock.recv(2048)
    return "answered"


def sent_again(sock: socket.socket) -> int:
    """SYNs of a TCP flow, which sends nothing else, beyond the first."""
    told = sock.getsockopt(socket.IPPROTO_TCP, tcp_info.TCP_INFO, tcp_info.HANDSHAKE_BYTES)
    return tcp_info.parse_handshake(told).total_retrans


def take(kind: str, address: str, port: int, count: int, seconds: float) -> dict[str, int]:
    began = time.monotonic()
    waiting = {sock.fileno(): sock for sock in (opened(kind, address, port) for _ in range(count)) if sock}
    result = {"answered": 0, "refused": count - len(waiting), "silent": 0, "again": 0}
    looking = poll()
    for number in waiting:
        looking.register(number, POLLOUT if kind.startswith("tcp") else POLLIN)
    again = kind == "udp-again"
    ended = []
    while waiting and (left := began + seconds - time.monotonic()) > 0:
        if kind == "tcp-again" and all(map(sent_again, waiting.values())):
            break
        if again and left < seconds / 2:
            again = repeat(waiting.values())
        for number, _events in looking.poll(50):
            sock = waiting.pop(number)
            looking.unregister(number)
            result[outcome(sock, kind)] += 1
            if kind == "tcp-abort":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ended.append(sock)
    if again:
        repeat(waiting.values())  # this process was put aside for so long
    time.sleep(HANDSHAKE_SECONDS if ended and kind.startswith("tcp") else 0)
    result["silent"] += len(waiting)
    for sock in (*ended, *waiting.values()):
        result["again"] += sent_again(sock) if kind.startswith("tcp") else 0
        sock.close()  # at once: from now on it sends nothing
    return result


def repeat(flows: Iterable[socket.socket]) -> bool:
    """Send a second datagram over each; whether that is still to be done."""
    for sock in flows:
        sock.send(PAYLOAD)
    return False


def main() -> None:
    steps = json.loads(sys.argv[1])
    with ThreadPoolExecutor(max(1, len(steps))) as pool:
        results = list(pool.map(lambda step: take(*step), steps))
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
