import socket
import struct
import time

import pytest

from natobs.probes.model import Reason
from tests.http_answers import OK, PHASES, answering, head, outcome
from tests.loopback import PATIENCE
from tests.streaming import Talk, server


def reset_in_body(connection: socket.socket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def one_byte_at_a_time(connection: socket.socket) -> None:
    head(connection)
    for byte in OK:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"hello" * 10_000)


def endless_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1\r\na\r\n" * 10_000)


def endless_hints(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100)


def slow_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.02)


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


HOSTILE: list[tuple[Talk, set[Reason]]] = [
    (answering(b""), {Reason.RESET}),
    (answering(b"HTTP/1.1 200"), {Reason.RESET}),
    (answering(b"HTTP/1.1 200 OK\r\nContent-Le"), {Reason.RESET}),
    (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"), {Reason.RESET}),
    (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), {Reason.RESET}),
    (answering(b"SSH-2.0-OpenSSH_9.2\r\n", pause=0.1), {Reason.RESET}),
    (answering(b"\x16\x03\x01\x00\xff" * 50), {Reason.STATUS, Reason.RESET}),
    (answering(bytes(range(256)) * 20), {Reason.STATUS}),
    (answering(b"HTTP/1.1 999999 OK\r\n\r\n", pause=0.1), {Reason.STATUS}),
    (answering(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), {Reason.STATUS}),
    (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), {Reason.STATUS}),
    (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", pause=0.1), {Reason.BODY}),
    (reset_in_body, {Reason.RESET}),
    (one_byte_at_a_time, {Reason.TIMEOUT}),
    (endless_body, {Reason.BODY}),
    (endless_chunks, {Reason.BODY, Reason.TIMEOUT}),
    (endless_hints, {Reason.TIMEOUT}),
    (endless_headers, {Reason.STATUS}),
    (slow_headers, {Reason.TIMEOUT}),
    (silent, {Reason.TIMEOUT}),
]


@pytest.mark.parametrize(("talk", "reasons"), HOSTILE)
def test_a_hostile_server_is_never_a_success(talk: Talk, reasons: set[Reason]) -> None:
    with server(talk) as port:
        got = outcome(port, seconds=0.5 if Reason.TIMEOUT in reasons else PATIENCE)
    assert got.reason in reasons, got
    assert set(got.phases) <= set(PHASES)
    assert got.rtt is not None


def test_an_endless_body_without_a_limit_of_ours_is_cut_at_the_time_limit() -> None:
    with server(endless_chunks) as port:
        got = outcome(port, seconds=1, max_body_bytes=16_777_216)
    assert got.reason is Reason.TIMEOUT
    assert "reading the answer" in got.detail
