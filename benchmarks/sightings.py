"""Who saw which echo when: captures on several devices at once, by the kernel's nanosecond stamps.

``python -m benchmarks.sightings DEVICE...`` prints ``ready``; when its standard
input ends, one line of JSON with what it saw. A filter leaves all but ICMP to
the kernel, so that a flood of other packets disturbs nothing. Shares no code
with what is measured but the tokens' magic.
"""

import contextlib
import ctypes
import json
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from natobs.lab import traffic
from natobs.lab.lab import HostProcess, Lab
from natobs.wire.token import MAGIC, SIZE

_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_OUTGOING = 263, 6, 4
_ETH_P_ALL = 3
_BUFFER_BYTES = 32 << 20
_LOOK_SECONDS = 0.25
"""Seldom, so that looking disturbs nobody; until then the packets wait in the buffer."""

_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jump if true, jump if false, operand
_ICMP_OVER_IPV4 = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (0x28, 0, 0, 12),  # the frame's protocol
        (0x15, 0, 3, 0x0800),
        (0x30, 0, 0, 23),  # the packet's
        (0x15, 0, 1, 1),
        (0x06, 0, 0, 256),
        (0x06, 0, 0, 0),
    )
)
_ADDRESSES, _DATA = 26, 42
"""Offsets in a frame without IP options: the two addresses, the data of an echo."""


@dataclass
class Seen:
    """What one device saw of one peer's echoes: nanoseconds by token."""

    left: dict[str, int] = field(default_factory=dict)
    came: dict[str, int] = field(default_factory=dict)


Place = tuple[str, str, str]
"""Host, device, and the address at the far end of the echoes."""


@contextmanager
def captured(lab: Lab, devices: Sequence[tuple[str, str]]) -> Iterator[dict[Place, Seen]]:
    """Fill a dictionary with what the devices saw, when the block ends.

    Args:
        lab: where.
        devices: host and device of each.

    Raises:
        OSError: a capture had no room for all.
    """
    running: dict[str, HostProcess] = {}
    for name in dict.fromkeys(host for host, _device in devices):
        host = lab.host(name)
        words = host.python("benchmarks.sightings", *(device for where, device in devices if where == name))
        running[name] = host.popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
    for process in running.values():
        traffic.first_line(process, 20)
    found: dict[Place, Seen] = {}
    yield found
    for name, process in running.items():
        said = json.loads(process.popen.communicate(timeout=30)[0])
        if said["missed"]:
            raise OSError(f"the capture at {name} missed {said['missed']} packets")
        for device, peer, outgoing, token, at in said["seen"]:
            place = found.setdefault((name, device, peer), Seen())
            (place.left if outgoing else place.came)[token] = at


def open_capture(device: str) -> socket.socket:
    """A packet socket that sees all ICMP over IPv4 of a device; non-blocking."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    program = ctypes.create_string_buffer(_ICMP_OVER_IPV4)
    count = len(_ICMP_OVER_IPV4) // _INSTRUCTION.size
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", count, ctypes.addressof(program)))
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    with contextlib.suppress(PermissionError):  # in a user namespace the host's limit holds
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    opened.setblocking(False)
    opened.bind((device, _ETH_P_ALL))
    return opened


def read(opened: socket.socket) -> Iterator[tuple[bytes, int, bool]]:
    """What has come since: the beginning of a frame, nanoseconds, and whether this host sent it."""
    with contextlib.suppress(BlockingIOError):
        while True:
            frame, ancillary, _flags, place = opened.recvmsg(256, 64)
            seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
            yield frame, seconds * 1_000_000_000 + nanoseconds, place[2] == _PACKET_OUTGOING


def _take(opened: socket.socket, device: str) -> Iterator[tuple[str, str, bool, str, int]]:
    for frame, nanoseconds, outgoing in read(opened):
        token = frame[_DATA : _DATA + SIZE]
        if token.startswith(MAGIC):
            addresses = frame[_ADDRESSES : _ADDRESSES + 8]
            # An echo goes to the far end, its answer comes from there, whoever looks.
            peer = socket.inet_ntoa(addresses[4:] if frame[_DATA - 8] else addresses[:4])
            yield device, peer, outgoing, token.hex(), nanoseconds


def main() -> None:
    """Capture until standard input ends."""
    sockets = {device: open_capture(device) for device in sys.argv[1:]}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    seen: list[tuple[str, str, bool, str, int]] = []
    ended = False
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], _LOOK_SECONDS)[0])
        for device, opened in sockets.items():
            seen += _take(opened, device)
    missed = 0
    for opened in sockets.values():
        missed += struct.unpack("II", opened.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
    json.dump({"missed": missed, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    main()
