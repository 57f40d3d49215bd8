"""Packets that carry probe tokens, and who sees them: programs for hosts of the lab.

``python tests/lab/tokens.py send ADDRESS PORT COUNT INTERVAL [PATIENCE]``
    sends STAMP packets with tokens to a UDP port (or ICMP echoes to port 0), waits for all answers, but no more than
    PATIENCE seconds (20) after the last packet, prints how many came.
``python tests/lab/tokens.py answer ADDRESS PORT``
    answers STAMP packets as a reflector does, prints ``ready``.
``python tests/lab/tokens.py capture DEVICE...``
    prints ``ready``; when its standard input ends, a line of JSON: device, whether outgoing, token, and nanoseconds of
    every packet that has a token, a prober's or a responder's. Shares no code with what is tested but the magics: it
    looks for them anywhere in the first 200 bytes.
"""

import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

from natobs.wire import stamp
from natobs.wire.token import MAGIC, RESPONDER_MAGIC, Tokens

_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
LOOK_SECONDS, SETTLE_SECONDS = 0.01, 0.2

Sighting = tuple[str, bool, str, int]
"""Device, whether outgoing, token, nanoseconds."""


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(address: str, port: int, count: int, interval: float, patience: float) -> int:
    tokens = Tokens()
    echo = port == 0
    version = family(address)
    protocol = (socket.IPPROTO_ICMPV6 if version == socket.AF_INET6 else socket.IPPROTO_ICMP) if echo else 0
    answers = 0
    with socket.socket(version, socket.SOCK_DGRAM, protocol) as sock:
        sock.connect((address, port))
        sock.setblocking(False)
        for number in range(count):
            token = tokens.next()
            if echo:
                kind = 128 if version == socket.AF_INET6 else 8
                sock.send(struct.pack(">BBHHH", kind, 0, 0, 0, number & 0xFFFF) + token + bytes(48))
            else:
                sock.send(stamp.encode_request(number, time.time_ns(), token))
            answers += receive(sock, time.monotonic() + interval)
        answers += receive(sock, time.monotonic() + patience, count - answers)
    return answers


def receive(sock: socket.socket, until: float, most: int = sys.maxsize) -> int:
    answers = 0
    while answers < most and (left := until - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            try:
                answers += MAGIC in sock.recv(2048)
            except ConnectionError:
                continue
    return answers


def answer(address: str, port: int) -> None:
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        sock.bind((address, port))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            data, sender = sock.recvfrom(2048)
            now = time.time_ns()
            sock.sendto(stamp.encode_reply(stamp.decode_request(data), now, now, 64), sender)


def capture(devices: list[str]) -> None:
    sockets = {listening(device): device for device in devices}
    found: list[Sighting] = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    # Nobody waits for a packet: the kernel stamps one that is sent, then wakes who waits, then gives it to the driver.
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        for sock, device in sockets.items():
            found += seen(sock, device)
    time.sleep(SETTLE_SECONDS)
    for sock, device in sockets.items():
        found += seen(sock, device)
    json.dump(found, sys.stdout)


def listening(device: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    with contextlib.suppress(PermissionError):  # in a user namespace net.core.rmem_max has to do
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
    sock.bind((device, _ETH_P_ALL))
    return sock


def seen(sock: socket.socket, device: str) -> Iterator[Sighting]:
    """What has come since the last look and has a token."""
    with contextlib.suppress(BlockingIOError):
        while True:
            packet, ancillary, _flags, place = sock.recvmsg(200, 64)
            at = max(packet.find(MAGIC), packet.find(RESPONDER_MAGIC))
            if at >= 0:
                seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
                yield device, place[2] == _PACKET_OUTGOING, packet[at : at + 8].hex(), seconds * 10**9 + nanoseconds


if __name__ == "__main__":
    action, *rest = sys.argv[1:]
    if action == "send":
        print(send(rest[0], int(rest[1]), int(rest[2]), float(rest[3]), float(rest[4] if rest[4:] else 20)))  # noqa: T201 - it is a program
    elif action == "answer":
        answer(rest[0], int(rest[1]))
    else:
        capture(rest)
