"""HTTP clients for the server's tests: well-behaved and otherwise; certificates from the openssl command."""

import http.client
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address
from natobs.exposition.messages import Handler
from natobs.exposition.server import Server
from natobs.exposition.webschema import WebConfig

ANY_PORT = Address("127.0.0.1", 0)
PATIENCE = 20.0
"""Seconds within which what must come about does, however busy the machine is: long only where something is wrong."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def serving(handler: Handler, limits: Limits | None = None, config: WebConfig | None = None) -> Iterator[Server]:
    server = Server([ANY_PORT], handler, config, limits)
    server.start()
    try:
        yield server
    finally:
        server.stop(timeout=2)


def fetch(  # noqa: PLR0913 - every part of a request that a test may want to choose
    address: Address,
    path: str = "/metrics",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 10.0,
) -> Answer:
    connection = (
        http.client.HTTPSConnection(*address, context=tls, timeout=timeout)
        if tls
        else http.client.HTTPConnection(*address, timeout=timeout)
    )
    try:
        connection.request(method, path, headers=headers or {})
        return read_answer(connection)
    finally:
        connection.close()


def read_answer(connection: http.client.HTTPConnection) -> Answer:
    with connection.getresponse() as response:
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


@contextmanager
def raw(address: Address, sent: bytes = b"", receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A bare connection that has sent some bytes, with a small receive window if asked for."""
    with socket.socket() as client:
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(10)
        client.connect(address)
        client.sendall(sent)
        yield client


def read_all(client: socket.socket) -> bytes:
    """What the server sends until it closes; a reset counts as a close."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def eventually(condition: Callable[[], bool], within: float = PATIENCE) -> bool:
    """Whether a condition comes true within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def reserved_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[int]:
    """A port of loopback that refuses, and that the kernel gives to nobody else while the block runs.

    A server that is told its number can listen there all the same, where it sets SO_REUSEADDR as servers do: what
    holds a port of TCP is bound and does not listen, and what holds one of UDP hears nobody but itself.
    """
    with socket.socket(type=kind) as holding:
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_DGRAM:
            holding.connect(holding.getsockname())
        yield holding.getsockname()[1]


class Certificates:
    """A small public key infrastructure in a directory: authorities, servers and clients by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for authority in ("ca", "other-ca"):
            # Python 3.13 verifies strictly: an authority must say that it signs (RFC 5280, 4.2.1.3).
            self._make(authority, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
        self.issue("server", "IP:127.0.0.1")

    def issue(self, name: str, names: str, authority: str = "ca") -> None:
        """Make ``name.pem`` and ``name.key``, signed by an authority, with alternative names."""
        ca, key = self.path(f"{authority}.pem"), self.path(f"{authority}.key")
        leaf = "basicConstraints=critical,CA:FALSE"
        self._make(name, "-CA", ca, "-CAkey", key, "-addext", f"subjectAltName={names}", "-addext", leaf)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def text(self, name: str) -> str:
        return (self.directory / name).read_text()

    def client(self, name: str = "") -> ssl.SSLContext:
        """A client that trusts ``ca``, with the certificate of a name."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        if name:
            context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context

    def _make(self, name: str, *arguments: str) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key")]
        subprocess.run([*command, "-out", self.path(f"{name}.pem"), *arguments], check=True, capture_output=True)
