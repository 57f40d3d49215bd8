"""The kind ``udp``: STAMP (RFC 8762) to any reflector; the round trip without the reflector's own share.

Knows what a test packet carries; how it travels is :mod:`natobs.probes.exchange`'s.
"""

import socket
import time

from natobs.probes.environment import Environment
from natobs.probes.exchange import Key, success
from natobs.probes.model import Outcome, Prober, Reason, Steps, Target
from natobs.probes.payload import size_of
from natobs.probes.resolve import Address, ResolveError
from natobs.probes.rotation import Rotation
from natobs.probes.sockets import open_socket
from natobs.probes.stamped import StampedSocket, hold_stamping
from natobs.wire import stamp
from natobs.wire.token import Tokens

_KEY_SIZE = 12


class UdpKind:
    """The kind ``udp``."""

    name = "udp"
    default_port = stamp.PORT

    def open(self, target: Target, environment: Environment) -> Prober:
        size = size_of(target.settings, stamp.PADDED_SIZE, "a STAMP packet with its token")
        hold_stamping()
        return UdpProber(target, environment, environment.tokens, size)


class UdpProber:
    """Probes one STAMP reflector."""

    def __init__(self, target: Target, environment: Environment, tokens: Tokens, size: int) -> None:
        self._target = target
        self._environment = environment
        self._tokens = tokens
        self._size = size
        self._sequence = 0
        self._rotation = Rotation(
            target, environment, count=target.settings.source_ports, opening=self._open, read=read, size=size
        )

    def attempt(self, number: int) -> Steps:
        target, environment = self._target, self._environment
        try:
            address = yield from environment.resolver.address(target.host, target.port, target.settings.family, number)
            channel = self._rotation.next(address)
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        self._sequence += 1
        payload = stamp.encode_request(self._sequence, time.time_ns(), self._tokens.next(), self._size)
        answer = yield from channel.exchange(payload, payload[:_KEY_SIZE], read, self._rotation.late)
        if isinstance(answer, Outcome):
            return answer
        return success(answer, target, environment, answer.said.residence)

    def close(self) -> None:
        self._rotation.close()

    def _open(self, address: Address, port: int) -> StampedSocket:
        family, peer = address
        return StampedSocket(open_socket(self._target.settings, family, socket.SOCK_DGRAM, 0, port), peer)


def read(data: bytes) -> tuple[Key, stamp.Reply]:
    """Read a reply; its key is the request's sequence number and time, with which the request begins.

    Raises:
        FormatError: it is no reply.
    """
    reply = stamp.decode_reply(data)
    return _key(reply.sender_sequence, reply.sender_timestamp), reply


def _key(sequence: int, timestamp: int) -> Key:
    return sequence.to_bytes(4, "big") + timestamp.to_bytes(8, "big")
