"""A responder on loopback and what asks it, for the tests of both."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from natobs.catalogue.metrics import responder as metric
from natobs.config import Nat, Prefix
from natobs.config import Responder as Settings
from natobs.probe_config import Compare
from natobs.probes.asker import Asker
from natobs.probes.model import Outcome
from natobs.probes.permission import permission_of
from natobs.probes.responder import Counts, Responder
from natobs.wire import asking, stamp
from natobs.wire.asking import Probe, Reply, Request
from tests.loopback import PATIENCE, eventually
from tests.probing import environment, probe, target

HERE = "127.0.0.1"
RATE = 1000.0


def reflect(data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
    now = time.time_ns()
    return [stamp.encode_reply(stamp.decode_request(data), now, time.time_ns())]


def deaf(_data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
    return []


class Running:
    """A responder at work, and a client of it."""

    def __init__(self, service: Responder, client: socket.socket) -> None:
        self.service = service
        self.client = client
        self.where = service.addresses[0]

    def counted(self) -> dict[str, float]:
        return {each.labels[0]: each.value for each in self.service.samples() if each.metric is metric.REQUESTS}

    def has_ignored(self, count: int) -> bool:
        """Whether it soon has."""
        return eventually(lambda: self.counted()["ignored"] == count)

    def spent(self) -> float:
        """CPU seconds of the responder's thread (Documentation/scheduler/sched-stats.rst)."""
        stat = Path(f"/proc/self/task/{self.service._thread.native_id}/schedstat").read_text(encoding="ascii")
        return int(stat.split()[0]) / 1e9

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.client.sendto(data, self.where)

    def reply(self, seconds: float = PATIENCE) -> Reply:
        self.client.settimeout(seconds)
        data, sender = self.client.recvfrom(65_535)
        assert sender[:2] == self.where
        return asking.decode_reply(data)

    def ask(self, kind: str, port: int, host: str = HERE, milliseconds: int = 500, payload: int = 0) -> Reply:
        request = Request(int.from_bytes(os.urandom(8)), Probe(kind, host, port, milliseconds, payload))
        self.send(asking.encode_request(request))
        reply = self.reply()
        assert reply.nonce == request.nonce
        return reply


@contextmanager
def responding(  # noqa: PLR0913 - what a test may want to be different
    *,
    listen: str = f"{HERE}:0",
    allow: str = "127.0.0.0/8",
    targets: str = "127.0.0.0/8",
    rate: float = RATE,
    source_rate: float = RATE,
    client: str = "",
) -> Iterator[Running]:
    settings = Settings(listen=(listen,), allow=(Prefix(allow),), targets=(Prefix(targets),))
    service = Responder(permission_of(settings, Nat()), source_rate, rate, Counts())
    with ExitStack() as stack:
        service.start()
        stack.callback(service.stop)
        family = socket.AF_INET6 if "[" in listen else socket.AF_INET
        sock = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        if client:
            sock.bind((client, 0))
        yield Running(service, sock)


@contextmanager
def tcp_server() -> Iterator[int]:
    with socket.create_server((HERE, 0)) as listening:
        yield listening.getsockname()[1]


def request(port: int = 9, *, nonce: int = 1, kind: str = "udp", host: str = HERE, milliseconds: int = 500) -> bytes:
    return asking.encode_request(Request(nonce, Probe(kind, host, port, milliseconds)))


def ask(
    where: tuple[str, int],
    host: str,
    port: int,
    seconds: float = PATIENCE,
    until: Callable[[], bool] | None = None,
    **settings: Any,  # noqa: ANN401 - whatever the definition has
) -> Outcome:
    """What the asking side makes of it; its time limit is the definition's, or comes when something has happened."""
    whom = f"[{where[0]}]:{where[1]}" if ":" in where[0] else f"{where[0]}:{where[1]}"
    with environment() as (given, _noted):
        wanted = {"compare": Compare(responder=whom), "timeout_seconds": seconds, "interval_seconds": 60.0} | settings
        one = target(host, port, **wanted)
        asker = Asker(one, given)
        try:
            return probe(asker, seconds=seconds) if until is None else probe(asker, until=until)
        finally:
            asker.close()
