"""The reflector's UDP and TCP echo services on one thread: how the parts fit together.

Knows which socket belongs to which service; refuses to know packets, HTTP and who starts it.
"""

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from natobs.catalogue.metrics import reflector as metric
from natobs.catalogue.types import Sample
from natobs.errors import ReflectorError
from natobs.probes.reflector.datagrams import Datagrams, Responder
from natobs.probes.reflector.echo import Echo, EchoLimits
from natobs.probes.reflector.limiter import Limiter, StreamLimiters
from natobs.probes.reflector.listen import Endpoint, open_all, shown
from natobs.probes.reflector.poll import Poll
from natobs.probes.reflector.stamp import StampResponder
from natobs.probes.reflector.stun import StunResponder
from natobs.probes.reflector.tally import ECHO_DROPS, UDP_DROPS, Drop, Tally

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is answered, where, and how much of it.

    Args:
        stamp: where STAMP is answered; nowhere when empty.
        stun: the same for STUN.
        echo: the same for TCP echo.
        stateful: STAMP: count replies for each session apart.
        answer_short: STUN: also answer requests that are shorter than the response, up to 2.2 times as long.
        source_rate: packets a second for one source.
        total_rate: the same for all sources together.
        echo_limits: bounds of echo connections.
    """

    stamp: tuple[Endpoint, ...] = ()
    stun: tuple[Endpoint, ...] = ()
    echo: tuple[Endpoint, ...] = ()
    stateful: bool = False
    answer_short: bool = False
    source_rate: float = 500.0
    total_rate: float = 20_000.0
    echo_limits: EchoLimits = field(default_factory=EchoLimits)


class Reflector:
    """Answers from :meth:`start` to :meth:`stop`.

    Args:
        settings: what and where.
        tcp: the limiters of TCP, which HTTP may share.
    """

    def __init__(self, settings: Settings, tcp: StreamLimiters) -> None:
        self._settings = settings
        self._packets = Limiter(settings.source_rate, settings.total_rate)
        self._tcp = tcp
        self._stamp = Tally("stamp", UDP_DROPS)
        self._stun = Tally("stun", UDP_DROPS)
        self._echo_tally = Tally("echo", ECHO_DROPS)
        self._sockets: list[socket.socket] = []
        self._datagrams: list[tuple[Tally, Datagrams]] = []
        self._echo: Echo | None = None
        self._poll = Poll()
        self._thread = threading.Thread(target=self._run, name="natobs-reflector", daemon=True)
        self.addresses: tuple[tuple[str, str], ...] = ()
        """Service and address of every socket; empty before :meth:`start`."""

    @property
    def running(self) -> bool:
        """Whether the loop is at work."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Bind everything, then answer.

        Raises:
            ReflectorError: an address cannot be bound; nothing stays open.
        """
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        self._thread.start()

    def stop(self) -> None:
        """End; safe to call when it was never started."""
        if self._thread.is_alive():
            self._poll.stop()
            self._thread.join(_STOP_SECONDS)
        self._close()

    def samples(self) -> Iterator[Sample]:
        """Everything that was counted."""
        lost = {id(self._stamp): 0, id(self._stun): 0}
        for tally, datagrams in self._datagrams:
            lost[id(tally)] += datagrams.lost()
        for tally in (self._stamp, self._stun):
            tally.dropped[Drop.RECEIVE_BUFFER] = max(tally.dropped[Drop.RECEIVE_BUFFER], lost[id(tally)])
        for tally in (self._stamp, self._stun, self._echo_tally):
            yield from tally.samples()
        yield metric.CONNECTIONS.sample(self._echo.connections if self._echo else 0, "echo")
        yield metric.SOURCES.sample(self._packets.sources + self._tcp.requests.sources)

    def _open(self) -> None:
        settings = self._settings
        stateful, answer_short = settings.stateful, settings.answer_short
        addresses = [
            *self._serve_udp("stamp", settings.stamp, self._stamp, lambda: StampResponder(stateful=stateful)),
            *self._serve_udp("stun", settings.stun, self._stun, lambda: StunResponder(answer_short=answer_short)),
        ]
        listeners = open_all(settings.echo, socket.SOCK_STREAM)
        self._sockets += listeners
        if listeners:
            self._echo = Echo(self._poll, listeners, self._tcp, self._echo_tally, settings.echo_limits)
        self.addresses = (*addresses, *(("echo", shown(listener)) for listener in listeners))

    def _serve_udp(
        self, name: str, endpoints: tuple[Endpoint, ...], tally: Tally, responder: Callable[[], Responder]
    ) -> list[tuple[str, str]]:
        opened = open_all(endpoints, socket.SOCK_DGRAM)
        self._sockets += opened
        for each in opened:
            datagrams = Datagrams(each, responder(), self._packets, tally)
            self._datagrams.append((tally, datagrams))
            self._poll.watch(each.fileno(), select.EPOLLIN, datagrams.ready)
        return [(name, shown(each)) for each in opened]

    def _run(self) -> None:
        try:
            self._poll.run()
        except Exception:
            logger.exception("the reflector has ended")

    def _close(self) -> None:
        if self._thread.is_alive():
            raise ReflectorError(f"the reflector did not end within {_STOP_SECONDS:g} s")
        if self._echo is not None:
            self._echo.close()
        self._datagrams.clear()
        for opened in self._sockets:
            opened.close()
        self._sockets.clear()
        self._poll.close()
