"""The NAT's side of a pair: measures a target when a prober behind the NAT asks, and says how long it took.

One thread, one loop: the engine's, which also waits for the sockets that
requests come to. Rules and packets are those of docs/decisions/0009: one probe
for a request, within permissions and rates, a bounded number at a time. Probers
are kept for as long as there is room, so that sockets and source ports stay the
same from one request to the next, as those of the asking side do.

Refuses to know who starts it and where its samples go.
"""

import logging
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from natobs.catalogue.metrics import responder as metric
from natobs.catalogue.types import Sample
from natobs.errors import ConfigError, FormatError, ReflectorError
from natobs.probe_config import KindName, ProbeSettings
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment, Unnoticed
from natobs.probes.model import Attempt, Target
from natobs.probes.permission import Endpoint, Permission
from natobs.probes.plan import Plan
from natobs.probes.reflector.limiter import Limiter
from natobs.probes.reflector.listen import open_all
from natobs.probes.registry import KindByName, Kinds
from natobs.probes.resolve import Resolver
from natobs.probes.stamped import hold_stamping
from natobs.wire import asking
from natobs.wire.asking import Reply, Status
from natobs.wire.token import RESPONDER_MAGIC, Tokens

logger = logging.getLogger(__name__)

MOST_IN_FLIGHT = 64
"""Measurements at a time."""
MOST_KEPT = 128
"""Probers kept for the next request; one of UDP has four descriptors."""
BATCH = 64
"""Datagrams read at once from one socket."""
PAUSE_SECONDS = 0.02
"""How long a socket that had more than a batch is left alone: a flood costs a bounded share of one CPU."""
BIND_SECONDS = 2.0
"""How often an address is tried that this machine did not have: it may come later, or with a failover."""
_SOURCES = 4096
_RECEIVE_BUFFER = 64 * 1024
_END_SECONDS = 5.0
_MILLISECOND = 1e-3
_SECOND = 1e9

_Key = tuple[str, asking.Probe]
"""Who asks for what; a prober of its own for each, so that askers do not wait for one another."""


class _Asked(Target, frozen=True):
    """A target that knows its index in the engine."""

    index: int = -1


@dataclass(frozen=True, slots=True)
class _Asker:
    """To whom a reply goes."""

    opened: socket.socket
    address: tuple[str, int]
    nonce: int


class Counts:
    """Requests by what became of them; outlives a reload. Written by one thread."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(metric.RESULTS, 0)

    def add(self, result: str) -> None:
        """Count one."""
        self._counts[result] += 1

    def samples(self) -> Iterator[Sample]:
        """Everything that was counted, zeros included."""
        for result, count in self._counts.items():
            yield metric.REQUESTS.sample(count, result)


class Responder:
    """Answers from :meth:`start` to :meth:`stop`; an address that cannot be bound is tried again now and then.

    Args:
        permission: where, for whom, about what.
        source_rate: measurements a second for one asker.
        total_rate: measurements a second for all.
        counts: where requests are counted.
        kinds: makes kinds of probes, for this engine alone; tests bring their own.
    """

    def __init__(
        self,
        permission: Permission,
        source_rate: float,
        total_rate: float,
        counts: Counts,
        kinds: KindByName | None = None,
    ) -> None:
        self._permission = permission
        self._limiter = Limiter(source_rate, total_rate, _SOURCES)
        self._batch = max(BATCH, round(2 * total_rate * PAUSE_SECONDS))
        self._counts = counts
        self._kinds = Kinds() if kinds is None else kinds
        self._resolver = Resolver(1)
        self._environment = Environment(self._resolver, Unnoticed(), Tokens(RESPONDER_MAGIC))
        self._engine = Engine([], [], Plan([], 1, 0), self._answer)
        self._missing = list(permission.endpoints)
        self._sockets: list[socket.socket] = []
        self._resting: list[socket.socket] = []
        self._kept: OrderedDict[_Key, int] = OrderedDict()
        self._askers: dict[int, _Asker] = {}
        self._warned: set[Endpoint] = set()
        self._rested = 0.0
        self._bind_again = 0.0
        self._faulty = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="natobs-responder", daemon=True)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every socket."""
        return [opened.getsockname()[:2] for opened in self._sockets]

    @property
    def up(self) -> bool:
        """Whether it is at work on every address."""
        return self._thread.is_alive() and not self._missing

    def start(self) -> None:
        """Begin; addresses that can be bound are when this returns."""
        self._bind()
        self._thread.start()

    def stop(self) -> None:
        """End; what is being measured is not answered. Safe to call when it was never started."""
        self._stopping = True
        self._engine.stop()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
        if self._thread.is_alive():
            logger.warning("the responder's thread has not ended within %g s", _END_SECONDS)
        else:
            self._close()

    def samples(self) -> Iterator[Sample]:
        """Everything that is known now."""
        yield from self._counts.samples()
        yield metric.UP.sample(self.up)

    def _run(self) -> None:
        try:
            hold_stamping()
            while not self._stopping:
                self._turn()
        except Exception:
            logger.exception("the responder has ended")
        finally:
            self._close()

    def _turn(self) -> None:
        moments = [self._rested] * bool(self._resting) + [self._bind_again] * bool(self._missing)
        self._engine.turn(max(0.0, min(moments) - time.monotonic()) if moments else None)
        now = time.monotonic()
        while self._resting and now >= self._rested:
            self._watch(self._resting.pop())
        if self._missing and now >= self._bind_again:
            self._bind()

    def _bind(self) -> None:
        for endpoint in list(self._missing):
            try:
                (opened,) = open_all([endpoint], socket.SOCK_DGRAM)
            except ReflectorError as error:
                if endpoint not in self._warned:
                    logger.warning("responder: %s; it is tried again every %g s", error, BIND_SECONDS)
                self._warned.add(endpoint)
                continue
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._missing.remove(endpoint)
            self._sockets.append(opened)
            self._watch(opened)
        self._bind_again = time.monotonic() + BIND_SECONDS

    def _watch(self, opened: socket.socket) -> None:
        self._engine.watch(opened.fileno(), lambda: self._ready(opened))

    def _ready(self, opened: socket.socket) -> None:
        """Take what has come; if that is much, let the socket rest."""
        for _ in range(self._batch):
            try:
                data, address = opened.recvfrom(asking.LARGEST + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # an error of an earlier reply, which is read in place of a datagram
            try:
                self._take(opened, data, address)
            except Exception:
                if not self._faulty:  # once: a hostile sender could otherwise fill the log
                    logger.exception("a fault while answering %s; further ones are not logged", address[0])
                self._faulty = True
        self._engine.unwatch(opened.fileno())
        self._resting.append(opened)
        self._rested = time.monotonic() + PAUSE_SECONDS

    def _take(self, opened: socket.socket, data: bytes, address: tuple[str, int]) -> None:
        source = address[0]
        if not self._permission.may_ask(source):
            self._counts.add("ignored")
            return
        try:
            request = asking.decode_request(data)
        except FormatError:
            self._counts.add("ignored")
            return
        asker = _Asker(opened, address, request.nonce)
        if self._limiter.admit(source) is not None:
            self._decline(asker, Status.BUSY, "rate")
        elif len(self._askers) >= MOST_IN_FLIGHT:
            self._decline(asker, Status.BUSY, "in_flight")
        else:
            self._measure((source, request.probe), asker)

    def _measure(self, key: _Key, asker: _Asker) -> None:
        index = self._kept.get(key)
        if index is None:
            if not self._permission.may_probe(key[1].host):
                self._decline(asker, Status.REFUSED, "target")
                return
            try:
                index = self._place(key)
            except ConfigError:
                self._decline(asker, Status.REFUSED, "probe")
                return
        if index in self._askers:
            self._decline(asker, Status.BUSY, "in_flight")
            return
        self._kept.move_to_end(key)
        self._askers[index] = asker
        self._engine.begin(index)

    def _place(self, key: _Key) -> int:
        """Make a prober, in place of the one that was used least recently where there is no more room.

        Raises:
            ConfigError: the kind cannot do what is asked.
        """
        probe = key[1]
        settings = ProbeSettings(
            name="responder",
            kind=cast("KindName", probe.kind),
            targets=(probe.host,),
            timeout_seconds=probe.milliseconds * _MILLISECOND,
            retries=0,
            payload_bytes=probe.payload,
            dscp=probe.dscp,
        )
        kind = self._kinds(settings.kind)
        prober = kind.open(Target(settings, probe.host, probe.port), self._environment)
        index = len(self._kept)
        if index >= MOST_KEPT:
            oldest = next(each for each, place in self._kept.items() if place not in self._askers)
            index = self._kept.pop(oldest)
        self._engine.place(index, _Asked(settings, probe.host, probe.port, index), prober)
        self._kept[key] = index
        return index

    def _answer(self, attempt: Attempt) -> None:
        """Report of the engine: a measurement has ended."""
        assert isinstance(attempt.target, _Asked)
        asker = self._askers.pop(attempt.target.index)
        outcome = attempt.outcome
        clock = outcome.clock.value if outcome.clock else ""
        resent = outcome.syn_retransmits
        if outcome.reason is None:
            nanoseconds = round((outcome.rtt or 0) * _SECOND)
            reply = Reply(asker.nonce, Status.MEASURED, "", nanoseconds, clock, resent)
        else:
            icmp = (outcome.icmp.type, outcome.icmp.code) if outcome.icmp else (0, 0)
            reply = Reply(asker.nonce, Status.FAILED, outcome.reason.value, 0, clock, resent, icmp)
        self._send(asker, reply)

    def _decline(self, asker: _Asker, status: Status, why: str) -> None:
        self._send(asker, Reply(asker.nonce, status, why))

    def _send(self, asker: _Asker, reply: Reply) -> None:
        self._counts.add(reply.status.name.lower())
        with suppress(OSError):  # the asker will notice
            asker.opened.sendto(asking.encode_reply(reply), asker.address)

    def _close(self) -> None:
        self._engine.close()
        self._resolver.close()
        for opened in self._sockets:
            opened.close()
        self._sockets.clear()
