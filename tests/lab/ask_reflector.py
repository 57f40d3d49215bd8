"""Asks a reflector from inside a host of the lab: ``ask_reflector.py ask|flood ADDRESS``; answers in JSON.

``ask`` sends one STAMP packet and one STUN request of natobs' own, and fills a TCP echo. ``flood`` sends 100,000 STAMP
packets as fast as it can and counts what comes back.
"""

import json
import os
import select
import socket
import sys
import time

from natobs.wire import stamp, stun

STAMP, STUN, ECHO = 8862, 3478, 8007
FLOOD = 100_000
QUIET_SECONDS = 2.0


def udp(address: str, port: int) -> socket.socket:
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((address, port))  # so that only replies from this very address are taken
    client.settimeout(5)
    return client


def ask(address: str) -> dict[str, object]:
    with udp(address, STAMP) as client:
        client.send(stamp.encode_request(9, time.time_ns(), size=1400))
        data = client.recv(2000)
        reply = stamp.decode_reply(data)
    with udp(address, STUN) as client:
        client.send(stun.encode_request(os.urandom(12)))
        mapped = stun.decode_response(client.recv(2000)).mapped
    sent = os.urandom(100_000)
    echoed = b""
    with socket.create_connection((address, ECHO), 5) as connection:
        connection.sendall(sent)
        while len(echoed) < len(sent) and (more := connection.recv(65_536)):
            echoed += more
    return {
        "sequence": reply.sequence,
        "residence": reply.residence,
        "ttl": reply.ttl,
        "size": len(data),
        "mapped": mapped,
        "echoed": echoed == sent,
    }


def flood(address: str) -> dict[str, object]:
    replies = sent_bytes = received_bytes = 0
    start = time.monotonic()
    with udp(address, STAMP) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        client.settimeout(0)
        packet = stamp.encode_request(1, time.time_ns())
        for number in range(FLOOD):
            sent_bytes += send(client, packet)
            if number % 1000 == 0:
                received_bytes, replies = drain(client, received_bytes, replies)
        latest = time.monotonic()
        while select.select([client], [], [], QUIET_SECONDS)[0]:  # what waits at the reflector is answered later
            received_bytes, replies = drain(client, received_bytes, replies)
            latest = time.monotonic()
    return {"took": latest - start, "replies": replies, "sent_bytes": sent_bytes, "received_bytes": received_bytes}


def send(client: socket.socket, packet: bytes) -> int:
    while True:
        try:
            return client.send(packet)
        except BlockingIOError:  # the interface has no room
            time.sleep(0.001)


def drain(client: socket.socket, size: int, count: int) -> tuple[int, int]:
    try:
        while True:
            size += len(client.recv(2000))
            count += 1
    except BlockingIOError:
        return size, count


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"ask": ask, "flood": flood}[sys.argv[1]](sys.argv[2])))
