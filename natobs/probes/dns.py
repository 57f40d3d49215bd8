"""The kind ``dns``: does a DNS server answer a question, with the code and the record that are expected.

Over UDP the round trip is the kernel's; a truncated answer is a failure, and not
asked again by TCP: the definition says how the question travels. Identifier
and source port are random. Datagrams that do not repeat identifier and question
are no answers, and the wait goes on. Refuses to know what is in a message.
"""

import socket
from collections.abc import Generator
from dataclasses import replace

from natobs.errors import FormatError
from natobs.probes.connect import connect
from natobs.probes.dns_question import LARGEST_UDP, Question, Reader
from natobs.probes.environment import Environment
from natobs.probes.exchange import Channel, success
from natobs.probes.farewell import Farewell
from natobs.probes.model import ExpiredError, Outcome, Prober, Reason, Steps, Target, Wait
from natobs.probes.progress import FailedError, Progress, concluded
from natobs.probes.resolve import ResolveError
from natobs.probes.sockets import open_socket
from natobs.probes.stamped import NoRouteError, StampedSocket, hold_stamping

_LENGTH = 2
"""Bytes before each message on TCP (RFC 1035, section 4.2.2)."""


class DnsKind:
    """The kind ``dns``."""

    name = "dns"
    default_port = 53

    def __init__(self) -> None:
        self._farewell = Farewell()

    def open(self, target: Target, environment: Environment) -> Prober:
        question = Question.of(target.settings)
        if target.settings.dns.transport == "tcp":
            return TcpProber(target, environment, question, self._farewell)
        hold_stamping()
        return UdpProber(target, environment, question)


class UdpProber:
    """Asks one server by UDP, each time from a fresh source port."""

    def __init__(self, target: Target, environment: Environment, question: Question) -> None:
        self._target = target
        self._environment = environment
        self._question = question
        self._lingering: tuple[Channel, Reader] | None = None
        """The socket of an attempt that timed out, kept for the late answer."""

    def attempt(self, number: int) -> Steps:
        target, environment = self._target, self._environment
        self._settle()
        try:
            addresses = yield from environment.resolver.resolve(target.host, target.port, target.settings.family)
            family, peer = addresses[0]
            fresh = Channel(StampedSocket(open_socket(target.settings, family, socket.SOCK_DGRAM), peer), peer)
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        except NoRouteError as error:
            return Outcome(Reason.NO_ROUTE, str(error))
        query = self._question.message()
        reader = self._question.reader(query)
        keep = False
        try:
            answer = yield from fresh.exchange(query, reader.key, reader, self._late)
        except ExpiredError:
            keep = True
            if reader.strangers:
                return Outcome(Reason.DNS, f"{reader.strangers} datagrams came, none of them an answer to the question")
            raise
        finally:
            if keep:
                self._lingering = (fresh, reader)
            else:
                fresh.close()
        if isinstance(answer, Outcome):
            return answer
        outcome = success(answer, target, environment)
        wrong = self._question.judge(answer.said)
        if wrong is None or not outcome.success:
            return outcome
        return replace(outcome, reason=wrong[0], detail=wrong[1])

    def close(self) -> None:
        if self._lingering is not None:
            self._lingering[0].close()
            self._lingering = None

    def _settle(self) -> None:
        if self._lingering is not None:
            channel, reader = self._lingering
            for _ in range(channel.collect_late(reader, LARGEST_UDP)):
                self._late()
            self.close()

    def _late(self) -> None:
        self._environment.notices.late(self._target)


class TcpProber:
    """Asks one server by TCP, each time on a connection of its own."""

    def __init__(self, target: Target, environment: Environment, question: Question, farewell: Farewell) -> None:
        self._target = target
        self._resolver = environment.resolver
        self._question = question
        self._farewell = farewell

    def attempt(self, number: int) -> Steps:
        progress = Progress()
        return concluded(progress, self._steps(progress))

    def close(self) -> None:
        self._farewell.close()

    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        target = self._target
        with progress.phase("resolve", "resolving"):
            addresses = yield from self._resolver.resolve(target.host, target.port, target.settings.family)
        opened = yield from connect(target.settings, addresses[0], progress)
        try:
            response = yield from self._ask(opened, progress)
        except BaseException:
            opened.close()
            raise
        self._farewell.leave(opened)
        wrong = self._question.judge(response)
        if wrong is not None:
            raise FailedError(*wrong)

    def _ask(self, opened: socket.socket, progress: Progress) -> Generator[Wait, None, bytes]:
        query = self._question.message()
        reader = self._question.reader(query)
        with progress.phase("first_byte", "waiting for the answer"):
            opened.send(len(query).to_bytes(_LENGTH, "big") + query)  # a new connection's buffer has room for it
            begun = yield from _receive(opened, _LENGTH)
        with progress.phase("transfer", "reading the answer"):
            response = yield from _receive(opened, int.from_bytes(begun, "big"))
        try:
            key, _response = reader(response)
        except FormatError as error:
            raise FailedError(Reason.DNS, f"malformed answer: {error}") from error
        if key != reader.key:
            raise FailedError(Reason.DNS, "the answer is to another question")
        return response


def _receive(opened: socket.socket, size: int) -> Generator[Wait, None, bytes]:
    received = b""
    while len(received) < size:
        try:
            chunk = opened.recv(size - len(received))
        except BlockingIOError:
            yield Wait(opened.fileno())
            continue
        if not chunk:
            raise FailedError(Reason.RESET, f"the connection was closed after {len(received)} of {size} bytes")
        received += chunk
    return received
