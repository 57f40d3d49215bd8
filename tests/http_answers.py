"""For the tests of HTTP probes: servers that say what they are told, and one attempt at them."""

import socket
import time
from typing import Any

from natobs.probe_config import Expect, Http, Tls
from natobs.probes.http import HttpKind
from natobs.probes.model import Outcome
from tests import probing
from tests.loopback import PATIENCE
from tests.streaming import Talk, bounded

PHASES = ["resolve", "connect", "first_byte", "transfer"]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def head(connection: socket.socket) -> bytes:
    """The request's head."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            break
        received += data
    return received


def answering(*answers: bytes, pause: float = 0) -> Talk:
    def talk(connection: socket.socket) -> None:
        head(connection)
        for part in answers:
            connection.sendall(part)
            time.sleep(pause)

    return talk


def outcome(
    port: int,
    *,
    seconds: float = PATIENCE,
    expect: dict[str, Any] | None = None,
    tls: Tls | None = None,
    **http: Any,  # noqa: ANN401 - any key of the section
) -> Outcome:
    settings = {
        "http": Http(**({"tls": tls is not None} | http)),
        "tls": tls or Tls(),
        "expect": Expect(**expect or {}),
    }
    target = probing.target("127.0.0.1", port, kind="http", timeout_seconds=seconds, **settings)
    return bounded(HttpKind(), target).outcome
