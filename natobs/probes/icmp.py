"""The kind ``icmp``: echo request and reply, v4 and v6, without privileges where the kernel allows it.

A ping socket (SOCK_DGRAM) is for every group in ``net.ipv4.ping_group_range``;
else a raw socket, which needs CAP_NET_RAW. Knows the two kinds of socket; how
a packet travels is :mod:`natobs.probes.exchange`'s.
"""

import secrets
import socket
import struct

from natobs.errors import FormatError
from natobs.probes.environment import Environment
from natobs.probes.exchange import Key, success
from natobs.probes.model import Outcome, Prober, Reason, Steps, Target
from natobs.probes.resolve import Address, ResolveError
from natobs.probes.rotation import Rotation
from natobs.probes.sockets import open_socket
from natobs.probes.stamped import StampedSocket, hold_stamping
from natobs.wire import icmp
from natobs.wire.token import SIZE, Tokens

DATA_BYTES = 56
"""Data of an echo request unless the definition says otherwise: as ping(8) does."""

_NUMBERS = 1 << 16
_COMPARED_FROM = 6
"""The kernel fills in checksum and identifier, a NAT changes them; the sequence number stays."""

_SOL_RAW = 255
_ICMP_FILTER = 1
_ICMP6_FILTER = 1
_ALL_BUT_REPLY4 = struct.pack("=I", 0xFFFFFFFF & ~(1 << 0))
_ALL_BUT_REPLY6 = struct.pack(
    "=8I", *(0xFFFFFFFF & ~((1 << 129 % 32) if word == 129 // 32 else 0) for word in range(8))
)
"""A bit for each type that is not handed over: include/uapi/linux/icmp.h, icmpv6.h; 129 is an echo reply."""


class PrivilegeError(Exception):
    """Neither a ping socket nor a raw one is to be had."""


class IcmpKind:
    """The kind ``icmp``."""

    name = "icmp"
    default_port = 0

    def open(self, target: Target, environment: Environment) -> Prober:
        hold_stamping()
        return IcmpProber(target, environment, environment.tokens)


class IcmpProber:
    """Pings one target."""

    def __init__(self, target: Target, environment: Environment, tokens: Tokens) -> None:
        self._target = target
        self._environment = environment
        self._tokens = tokens
        size = target.settings.payload_bytes or DATA_BYTES
        # A secret of this prober, so that nobody who does not see the request can answer it.
        self._rest = secrets.token_bytes(min(SIZE, max(0, size - SIZE))).ljust(size - SIZE, b"\0")
        self._size = size
        self._sequence = secrets.randbelow(_NUMBERS)
        self._identifier = secrets.randbelow(_NUMBERS)
        self._version = 4
        self._raw = False
        self._rotation = Rotation(
            target,
            environment,
            count=1,
            opening=self._open,
            read=self.read,
            size=size + icmp.HEADER_SIZE,
            compared_from=_COMPARED_FROM,
        )

    def attempt(self, number: int) -> Steps:
        target, environment = self._target, self._environment
        try:
            address = yield from environment.resolver.address(target.host, 0, target.settings.family, number)
            channel = self._rotation.next(address)
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        except PrivilegeError as error:
            return Outcome(Reason.LOCAL, str(error))
        self._sequence = (self._sequence + 1) % _NUMBERS
        data = (self._tokens.next() + self._rest)[: self._size]
        echo = icmp.Echo(self._identifier, self._sequence, data)
        request = icmp.encode_request(self._version, echo, summed=self._raw)
        answer = yield from channel.exchange(request, _key(self._sequence, data), self.read, self._rotation.late)
        return answer if isinstance(answer, Outcome) else success(answer, target, environment)

    def close(self) -> None:
        self._rotation.close()

    def read(self, packet: bytes) -> tuple[Key, None]:
        """Read an echo reply to this prober; its key is its sequence number and token.

        Raises:
            FormatError: it is none.
        """
        message = icmp.strip_ipv4(packet) if self._raw and self._version == 4 else packet  # noqa: PLR2004 - an IP version
        echo = icmp.decode_reply(self._version, message, checked=not self._raw)
        if self._raw and echo.identifier != self._identifier:
            raise FormatError("echo reply to somebody else")
        if len(echo.data) != self._size or echo.data[SIZE:] != self._rest:
            raise FormatError("echo reply with other data than were sent")
        return _key(echo.sequence, echo.data), None

    def _open(self, address: Address, _port: int) -> StampedSocket:
        family, peer = address
        self._version = 6 if family == socket.AF_INET6 else 4
        protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
        settings = self._target.settings
        try:
            opened = open_socket(settings, family, socket.SOCK_DGRAM, protocol)
            self._raw = False
        except PermissionError:
            try:
                opened = open_socket(settings, family, socket.SOCK_RAW, protocol)
            except PermissionError as error:
                raise PrivilegeError(
                    "ICMP needs this process's group in the sysctl net.ipv4.ping_group_range, or CAP_NET_RAW"
                    + (", and the mark CAP_NET_ADMIN" if settings.mark else "")
                ) from error
            self._raw = True
            if family == socket.AF_INET6:
                opened.setsockopt(protocol, _ICMP6_FILTER, _ALL_BUT_REPLY6)
            else:
                opened.setsockopt(_SOL_RAW, _ICMP_FILTER, _ALL_BUT_REPLY4)
        return StampedSocket(opened, peer)


def _key(sequence: int, data: bytes) -> Key:
    return sequence.to_bytes(2, "big") + data[:SIZE]
