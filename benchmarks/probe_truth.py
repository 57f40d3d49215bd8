"""What really passed the client's interface: AF_PACKET with the kernel's nanosecond stamps, read after the fact.

Knows the packets of every prober that is compared; refuses to know what a prober
said about them. The socket is read only when a batch of probes is over, so that
reading disturbs nobody; a batch has to fit into its buffer, and what did not is
counted.
"""

import contextlib
import socket
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal, Self

from natobs.errors import FormatError
from natobs.wire import stamp, token

Protocol = Literal["icmp", "udp", "tcp"]

# asm-generic/socket.h, linux/if_packet.h, linux/if_ether.h
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_OUTGOING = 4
_ETH_P_ALL = 3

_BUFFER_BYTES = 64 << 20
_IPV4 = b"\x08\x00"
_PROTOCOLS: dict[int, Protocol] = {1: "icmp", 6: "tcp", 17: "udp"}
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_SYN, _SYN_ACK, _FLAGS = 0x02, 0x12, 0x17  # of FIN, SYN, RST and ACK
_IRTT_MAGIC = b"\x14\xa7\x5b"
_IRTT_OPEN, _IRTT_CLOSE = 1, 4

_Key = tuple[str, bytes]


@dataclass(slots=True)
class _Exchange:
    address: str
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    residence: int = 0


class Capture:
    """Sees every packet of one interface from ``__enter__`` until :meth:`exchanges` is called.

    Args:
        protocol: whose exchanges are looked for.
        interface: where.
    """

    def __init__(self, protocol: Protocol, interface: str = "eth0") -> None:
        self._protocol = protocol
        self._interface = interface
        self.missed = 0

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        with contextlib.suppress(PermissionError):  # in a user namespace the host's limit holds
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.setblocking(False)
        self._socket.bind((self._interface, 0))
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def exchanges(self) -> dict[str, list[float | None]]:
        """Round trips by remote address, in the order in which their first packets left; None without an answer.

        A connect whose SYN was sent again is None too. What a STAMP reflector says
        that it kept the packet for is taken off.
        """
        found: dict[_Key, _Exchange] = {}
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _flags, address = self._socket.recvmsg(2048, 256)
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                self._note(found, data, seconds * 1_000_000_000 + nanoseconds, outgoing=address[2] == _PACKET_OUTGOING)
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self.missed += struct.unpack("II", statistics)[1]
        by_address: dict[str, list[float | None]] = defaultdict(list)
        for exchange in found.values():  # in the order of the first packets
            if not exchange.sent:
                continue
            whole = len(exchange.sent) == 1 and len(exchange.received) >= 1
            seconds_taken = (exchange.received[0] - exchange.sent[0] - exchange.residence) / 1e9 if whole else None
            by_address[exchange.address].append(seconds_taken)
        return dict(by_address)

    def _note(self, found: dict[_Key, _Exchange], frame: bytes, stamped: int, *, outgoing: bool) -> None:
        packet = frame[14:]
        if frame[12:14] != _IPV4 or _PROTOCOLS.get(packet[9]) != self._protocol:
            return
        address = socket.inet_ntoa(packet[16:20] if outgoing else packet[12:16])
        body = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4], "big")]
        key = _key(self._protocol, body, outgoing=outgoing)
        if key is None:
            return
        exchange = found.setdefault((address, key), _Exchange(address))
        (exchange.sent if outgoing else exchange.received).append(stamped)
        if self._protocol == "udp" and not outgoing:
            with contextlib.suppress(FormatError):
                exchange.residence = 0 if key.startswith(_IRTT_MAGIC) else stamp.decode_reply(body[8:]).residence


def _key(protocol: Protocol, body: bytes, *, outgoing: bool) -> bytes | None:
    """What a probe and its answer have in common; None for every other packet."""
    if protocol == "icmp":
        return body[4:8] if body[0] == (_ECHO_REQUEST if outgoing else _ECHO_REPLY) else None
    if protocol == "tcp":
        if body[13] & _FLAGS != (_SYN if outgoing else _SYN_ACK):
            return None
        return body[0:4] if outgoing else body[2:4] + body[0:2]
    payload = body[8:]
    if payload[:3] == _IRTT_MAGIC:  # magic, flags, 8 bytes of connection token, sequence number
        return None if payload[3] & (_IRTT_OPEN | _IRTT_CLOSE) else _IRTT_MAGIC + payload[12:16]
    return token.in_udp(payload)
