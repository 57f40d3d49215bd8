"""Has the NAT measure a target, and gives what it says as the outcome; :mod:`natobs.probes.responder` answers.

Knows the exchange of one question and one answer (docs/decisions/0009); refuses
to know what the round trip is compared with.
"""

import secrets
import socket
import time
from collections.abc import Generator
from typing import Final

import msgspec

from natobs.errors import ConfigError, FormatError
from natobs.probe_config import split_target
from natobs.probes.environment import Environment
from natobs.probes.model import Clock, ExpiredError, Outcome, Reason, Steps, Target, Wait
from natobs.probes.resolve import Address, ResolveError
from natobs.probes.sockets import connect, open_socket
from natobs.wire import asking
from natobs.wire.asking import Probe, Reply, Request, Status

_MOST_READ = 64
"""Datagrams read before the engine has its turn again."""
_NONCE_BITS = 64
_SECOND = 1e9
_WAY_SECONDS: Final = 0.05
_WAY_SHARE: Final = 0.1
"""What the answer has to come back within is kept off the responder's time limit: a tenth of it, 50 ms at most."""
_REFUSALS = {"target": "the target is not among its responder.targets", "probe": "it cannot make such a probe"}
_LOADS = {"rate": "more is asked than its rate allows", "in_flight": "it is measuring as much as it may at a time"}


class Asker:
    """Asks the responder of ``compare.responder`` to measure one target.

    Args:
        target: whom; its definition says what kind of probe.
        environment: whose resolver finds the address that both sides probe.

    Raises:
        ConfigError: the responder is no HOST:PORT, or no responder makes such a probe.
    """

    def __init__(self, target: Target, environment: Environment) -> None:
        settings = target.settings
        try:
            self._host, self._port = split_target(settings.compare.responder, asking.PORT)
        except ConfigError as error:
            raise ConfigError(f"probe {settings.name}: compare.responder: {error}") from error
        if settings.kind not in asking.KINDS:
            raise ConfigError(f"probe {settings.name}: a responder measures {', '.join(asking.KINDS)}")
        if settings.payload_bytes > asking.LARGEST:
            raise ConfigError(
                f"probe {settings.name}: payload_bytes is {settings.payload_bytes}; a responder sends at most "
                f"{asking.LARGEST}"
            )
        self._target = target
        self._resolver = environment.resolver
        # The question takes the way of the probe to the NAT, but not its TTL and DSCP, which are for the target.
        self._settings = msgspec.structs.replace(settings, ttl=0, dscp=0)
        self._target_port = 0 if settings.kind == "icmp" else target.port
        limit = settings.timeout_seconds
        milliseconds = int((limit - min(_WAY_SECONDS, limit * _WAY_SHARE)) * 1000)
        self._milliseconds = min(max(milliseconds, 1), asking.LONGEST_MILLISECONDS)
        self._socket: socket.socket | None = None
        self._peer: Address | None = None

    @property
    def name(self) -> str:
        """The responder, as a person writes it."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def attempt(self, number: int) -> Steps:
        """Ask once; the outcome is that of the NAT's own attempt, or says why there is none."""
        try:
            return (yield from self._ask())
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        except ExpiredError:
            self.close()
            return Outcome(Reason.TIMEOUT, f"no answer from the responder {self.name}: is it on, may this host ask it?")
        except ConnectionRefusedError:
            self.close()
            return Outcome(Reason.REFUSED, f"nobody listens at the responder's address {self.name}")
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket; the next attempt opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self) -> Generator[Wait, None, Outcome]:
        settings = self._target.settings
        addresses = yield from self._resolver.resolve(self._target.host, self._target_port, settings.family)
        responders = yield from self._resolver.resolve(self._host, self._port, "any")
        host, port = addresses[0][1]
        payload = 0 if settings.kind == "tcp" else settings.payload_bytes
        request = Request(
            secrets.randbits(_NONCE_BITS),
            Probe(settings.kind, host, port, self._milliseconds, payload, settings.dscp),
        )
        opened = self._connected(responders[0])
        begun = time.monotonic()
        opened.send(asking.encode_request(request))
        wait = Wait(opened.fileno())
        while True:
            yield wait
            for _ in range(_MOST_READ):
                try:
                    reply = asking.decode_reply(opened.recv(asking.REPLY_SIZE + 1))
                except BlockingIOError:
                    break
                except FormatError:
                    continue
                if reply.nonce == request.nonce:  # else it comes late
                    return self._outcome(reply, time.monotonic() - begun)

    def _connected(self, address: Address) -> socket.socket:
        """The socket, connected: the kernel drops what others send."""
        if self._socket is not None and self._peer == address:
            return self._socket
        self.close()
        family, peer = address
        self._socket = open_socket(self._settings, family, socket.SOCK_DGRAM)
        connect(self._socket, peer)
        self._peer = address
        return self._socket

    def _outcome(self, reply: Reply, seconds: float) -> Outcome:
        """What a reply means.

        Args:
            reply: the one that belongs to the question.
            seconds: from asking to the reply, which no round trip within can exceed.
        """
        who = f"the responder {self.name}"
        if reply.status is Status.REFUSED:
            return Outcome(Reason.REFUSED, f"{who} refused: {_REFUSALS[reply.why]}")
        if reply.status is Status.BUSY:
            return Outcome(Reason.REFUSED, f"{who} is busy: {_LOADS[reply.why]}")
        if reply.status is Status.FAILED:
            icmp = " (ICMP type {} code {})".format(*reply.icmp) if any(reply.icmp) else ""
            resent = reply.syn_retransmits
            return Outcome(
                Reason(reply.why), f"{who} says of its own attempt: {reply.why}{icmp}", syn_retransmits=resent
            )
        clock = Clock(reply.clock) if reply.clock else None
        rtt = reply.nanoseconds / _SECOND
        if not reply.nanoseconds:
            return Outcome(
                detail=f"{who} was answered, but has no round trip: a clock was set, or a SYN lost", clock=clock
            )
        if rtt > seconds:
            return Outcome(Reason.LOCAL, f"{who} says {rtt:.6f} s, which is more than its answer took")
        return Outcome(rtt=rtt, clock=clock, syn_retransmits=reply.syn_retransmits)
