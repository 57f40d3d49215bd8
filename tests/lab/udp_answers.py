"""A server for tests: ``python -m tests.lab.udp_answers stamp|stun|dns|icmp ADDRESS PORT [DELAY_SECONDS]``.

Answers every request, each so many seconds after it came; prints ``ready``. What answers pings has no port, and its
packets the firewall mark 1, by which they are told from the kernel's own answers.
"""

import heapq
import select
import socket
import sys
import time
from typing import Any

from natobs.lab.servers import dns_answer
from natobs.wire import stamp, stun

ECHO_REQUEST, SO_MARK = 8, 36

Peer = tuple[Any, ...]


def echo_reply(packet: bytes) -> bytes:
    """The reply to an echo request, from its IP header on; nothing for other messages."""
    message = packet[(packet[0] & 15) * 4 :]
    if message[0] != ECHO_REQUEST:
        return b""
    reply = bytes(4) + message[4:] + bytes(len(message) % 2)
    total = sum(int.from_bytes(reply[place : place + 2], "big") for place in range(0, len(reply), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return bytes(2) + (total ^ 0xFFFF).to_bytes(2, "big") + message[4:]


def answer(kind: str, data: bytes, peer: Peer, received: int) -> bytes:
    if kind == "icmp":
        return echo_reply(data)
    if kind == "dns":
        return dns_answer(data, "192.0.2.7") or b""
    if kind == "stun":
        return stun.encode_response(stun.decode_request(data), peer[0], peer[1])
    return stamp.encode_reply(stamp.decode_request(data), received, time.time_ns())


def main() -> None:
    kind, address, port, *rest = sys.argv[1:]
    delay = float(rest[0]) if rest else 0.0
    waiting: list[tuple[float, int, bytes, Peer]] = []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    way = (socket.SOCK_RAW, socket.IPPROTO_ICMP) if kind == "icmp" else (socket.SOCK_DGRAM, 0)
    with socket.socket(family, *way) as listening:
        if kind == "icmp":
            listening.setsockopt(socket.SOL_SOCKET, SO_MARK, 1)
        listening.bind((address, int(port)))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            if select.select([listening], [], [], pause)[0]:
                data, peer = listening.recvfrom(65536)
                now = time.time_ns()
                if not delay:
                    listening.sendto(answer(kind, data, peer, now), peer)
                else:
                    heapq.heappush(waiting, (time.monotonic() + delay, now, data, peer))
            while waiting and waiting[0][0] <= time.monotonic():
                _due, _received, data, peer = heapq.heappop(waiting)
                # T2 is left out on purpose: the delay stands for the path's, and shall be in the round trip
                if said := answer(kind, data, peer, time.time_ns()):
                    listening.sendto(said, peer)


if __name__ == "__main__":
    main()
