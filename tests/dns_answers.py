"""DNS servers that answer as a test tells them, well and badly, and one attempt at each."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

from natobs.probe_config import Dns, Expect
from natobs.probes.dns import DnsKind
from natobs.probes.model import Outcome
from tests import probing
from tests.loopback import PATIENCE

Peer = tuple[Any, ...]
Answer = Callable[[bytes], bytes]
"""Query to response."""

A_RECORD = Expect(record=r"^192\.0\.2\.7$")


def respond(
    query: bytes, *, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, records: tuple[str, ...] = ("192.0.2.7",)
) -> dns.message.Message:
    asked = dns.message.from_wire(query)
    response = dns.message.make_response(asked)
    response.set_rcode(rcode)
    if records:
        response.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "A", *records))
    return response


def good(query: bytes) -> bytes:
    return respond(query).to_wire()


def coded(rcode: dns.rcode.Rcode) -> Answer:
    return lambda query: respond(query, rcode=rcode, records=()).to_wire()


def truncated(query: bytes) -> bytes:
    response = respond(query)
    response.flags |= dns.flags.TC
    return response.to_wire()


def wrong_id(query: bytes) -> bytes:
    answer = good(query)
    return bytes([answer[0] ^ 1]) + answer[1:]


def wrong_question(query: bytes) -> bytes:
    return good(query).replace(b"example", b"examplf")


def wrong_type(query: bytes) -> bytes:
    answer = good(query)
    return answer.replace(b"\3com\0\0\1\0\1", b"\3com\0\0\x1c\0\1", 1)


def echoed(query: bytes) -> bytes:
    return query  # what an echo service does: no response at all


def bare(flags: int) -> Answer:
    return lambda query: query[:2] + struct.pack(">H", flags) + bytes(8)


def cut(query: bytes) -> bytes:
    return good(query)[:-7]


def too_many(query: bytes) -> bytes:
    answer = bytearray(good(query))
    answer[6:8] = b"\xff\xff"
    return bytes(answer)


@contextlib.contextmanager
def tcp_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Hands each connection to ``serve``, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.02)
        stopping = threading.Event()

        def run() -> None:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError, OSError):
                    connection, _peer = listening.accept()
                    with connection:
                        connection.settimeout(PATIENCE)
                        serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stopping.set()
            thread.join()


def framed(answer: Answer, piece: int = 65_536) -> Callable[[socket.socket], None]:
    """Reads one query, and answers in pieces."""

    def serve(connection: socket.socket) -> None:
        query = connection.recv(65_536)
        message = answer(query[2:])
        whole = len(message).to_bytes(2, "big") + message
        for start in range(0, len(whole), piece):
            connection.sendall(whole[start : start + piece])
            time.sleep(0.001 if piece < len(whole) else 0)
        connection.recv(1)

    return serve


def ask(
    port: int,
    seconds: float = PATIENCE,
    until: Callable[[], bool] = lambda: False,
    **wanted: Any,  # noqa: ANN401 - settings
) -> Outcome:
    with probing.environment() as (environment, noted):
        target = probing.target("127.0.0.1", port, kind="dns", timeout_seconds=seconds, **wanted)
        prober = DnsKind().open(target, environment)
        try:
            return probing.probe(prober, seconds=seconds, until=until)
        finally:
            prober.close()
            assert noted.rejects == 0


def ask_udp(answer: Answer, **wanted: Any) -> Outcome:  # noqa: ANN401 - settings
    """The time is up when that one answer has been sent, and is not what was waited for."""
    sent = threading.Event()

    def serve(data: bytes, _peer: Peer) -> Iterator[bytes]:
        yield answer(data)
        sent.set()

    with probing.udp_server(serve) as port:
        return ask(port, until=sent.is_set, **wanted)


def ask_tcp(answer: Answer, **wanted: Any) -> Outcome:  # noqa: ANN401 - settings
    with tcp_server(framed(answer)) as port:
        return ask(port, dns=Dns(transport="tcp"), **wanted)
