"""The kind ``dns``: does a DNS server answer a question, with the code and the record that are expected.

Over UDP the round trip is the kernel's; a truncated answer is a failure, and not
asked again by TCP: the definition says how the question travels. Identifier
and source port are random. Datagrams that do not repeat identifier and question
are no answers, and the wait goes on. Refuses to know what is in a message.
"""

import contextlib
from collections.abc import Generator

from msgspec.structs import replace

from natobs.errors import FormatError
from natobs.probes.dns_question import LARGEST_UDP, Question
from natobs.probes.environment import Environment
from natobs.probes.exchange import success
from natobs.probes.farewell import Farewell
from natobs.probes.fresh import Fresh
from natobs.probes.model import ExpiredError, Outcome, Prober, Reason, Steps, Target, Wait
from natobs.probes.progress import FailedError, Progress
from natobs.probes.resolve import ResolveError
from natobs.probes.stamped import hold_stamping
from natobs.probes.stream import Stream
from natobs.probes.stream_prober import StreamProber, timed

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
        self._fresh: Fresh[bytes] = Fresh(target, environment, LARGEST_UDP)

    def attempt(self, number: int) -> Steps:
        target, environment = self._target, self._environment
        self._fresh.settle()
        try:
            address = yield from environment.resolver.address(target.host, target.port, target.settings.family, number)
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        query = self._question.message()
        reader = self._question.reader(query)
        try:
            answer = yield from self._fresh.exchange(address, query, reader.key, reader)
        except ExpiredError:
            if reader.strangers:
                return Outcome(Reason.DNS, f"{reader.strangers} datagrams came, none of them an answer to the question")
            raise
        if isinstance(answer, Outcome):
            return answer
        outcome = success(answer, target, environment)
        wrong = self._question.judge(answer.said)
        if wrong is None or not outcome.success:
            return outcome
        return replace(outcome, reason=wrong[0], detail=wrong[1])

    def close(self) -> None:
        self._fresh.close()


class TcpProber(StreamProber):
    """Asks one server by TCP, each time on a connection of its own."""

    def __init__(self, target: Target, environment: Environment, question: Question, farewell: Farewell) -> None:
        super().__init__(target, environment, farewell)
        self._question = question

    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        opened = yield from self._connect(progress, self._target.host, self._target.port)
        with contextlib.closing(Stream(opened)) as stream:
            response = yield from self._ask(stream, progress)
            self._farewell.leave(stream.detach(), self)
        wrong = self._question.judge(response)
        if wrong is not None:
            raise FailedError(*wrong)

    def _ask(self, stream: Stream, progress: Progress) -> Generator[Wait, None, bytes]:
        query = self._question.message()
        reader = self._question.reader(query)
        progress.doing = "waiting for the answer"
        yield from stream.send(len(query).to_bytes(_LENGTH, "big") + query)
        with timed(progress, "first_byte", stream, stream.sent_at):
            received = yield from _receive(stream, b"", _LENGTH)
        size = _LENGTH + int.from_bytes(received[:_LENGTH], "big")
        progress.doing = "reading the answer"
        with timed(progress, "transfer", stream, stream.received_at):
            received = yield from _receive(stream, received, size)
        response = received[_LENGTH:size]
        try:
            key, _response = reader(response)
        except FormatError as error:
            raise FailedError(Reason.DNS, f"malformed answer: {error}") from error
        if key != reader.key:
            raise FailedError(Reason.DNS, "the answer is to another question")
        return response


def _receive(stream: Stream, received: bytes, size: int) -> Generator[Wait, None, bytes]:
    """Read on until there are so many bytes, or more."""
    while len(received) < size:
        data = yield from stream.receive()
        if not data:
            raise FailedError(Reason.RESET, f"the connection was closed after {len(received)} of {size} bytes")
        received += data
    return received
