"""A reflector for tests: ``python -m tests.lab.udp_answers stamp|stun ADDRESS PORT [DELAY_SECONDS]``.

Answers every request, each so many seconds after it came; prints ``ready``.
"""

import heapq
import select
import socket
import sys
import time
from typing import Any

from natobs.wire import stamp, stun

Peer = tuple[Any, ...]


def answer(kind: str, data: bytes, peer: Peer, received: int) -> bytes:
    if kind == "stun":
        return stun.encode_response(stun.decode_request(data), peer[0], peer[1])
    return stamp.encode_reply(stamp.decode_request(data), received, time.time_ns())


def main() -> None:
    kind, address, port, *rest = sys.argv[1:]
    delay = float(rest[0]) if rest else 0.0
    waiting: list[tuple[float, int, bytes, Peer]] = []
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as listening:
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
                listening.sendto(answer(kind, data, peer, time.time_ns()), peer)


if __name__ == "__main__":
    main()
