"""Network devices as far as routing needs them: number, name, and whether they carry packets.

Also what every reader of RTM_GETLINK shares: the header, the name and its rules.

Source: RTM_GETLINK (net/core/rtnetlink.c, rtnl_fill_ifinfo), include/uapi/linux/if.h.
Counters, speeds and drivers of devices are not read here.
"""

import struct
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change mask
IFLA_IFNAME = 3
_IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
IFF_UP = 0x1
IFF_LOOPBACK = 0x8
_IFF_LOWER_UP = 0x10000
_LONGEST_NAME = 15
"""IFNAMSIZ less its final NUL."""

MOST_DEVICES = 64
"""How many devices are reported one by one. A NAT has a few; a Kubernetes node has a veth for each of its pods."""

DEVICES = Netlink(
    "device",
    netlink.NETLINK_ROUTE,
    RTM_GETLINK,
    IFINFOMSG.pack(0, 0, 0, 0, 0) + netlink.attribute(_IFLA_EXT_MASK, struct.pack("=I", _RTEXT_FILTER_SKIP_STATS)),
)


@dataclass(frozen=True, slots=True)
class Device:
    """A network device.

    Args:
        index: its number in the network namespace.
        name: its present name.
        up: whether it is switched on (IFF_UP); switched off, it loses its IPv4 routes without a word.
        usable: whether it is on and has a carrier (IFF_LOWER_UP).
        loopback: whether it is ``lo``.
    """

    index: int
    name: str
    up: bool
    usable: bool
    loopback: bool


def read(machine: Machine) -> dict[int, Device]:
    """Every device by its number.

    Raises:
        UnavailableError: rtnetlink is not there.
        FormatError: the answer is not what the kernel documents.
    """
    return parse(machine.ask(DEVICES))


def parse(data: bytes) -> dict[int, Device]:
    """Decode the answer to RTM_GETLINK; raises FormatError."""
    found = (parse_message(body) for body in netlink.messages(data, RTM_NEWLINK))
    return {device.index: device for device in found if device is not None}


def parse_message(body: memoryview) -> Device | None:
    """Decode one RTM_NEWLINK or RTM_DELLINK; None when it tells of something else than the device.

    Bridges tell of their ports with the same messages (br_netlink.c, family
    AF_BRIDGE): there RTM_DELLINK means that the device has left the bridge.

    Raises:
        FormatError: it is truncated, or the device has no valid name.
    """
    found = netlink.attributes(body, IFINFOMSG.size)
    family, _kind, index, flags, _mask = IFINFOMSG.unpack_from(body)
    if family:
        return None
    if index <= 0:
        raise FormatError(f"rtnetlink: a device cannot have the number {index}")
    up = bool(flags & IFF_UP)
    return Device(index, name_in(found), up, up and bool(flags & _IFF_LOWER_UP), bool(flags & IFF_LOOPBACK))


def name_in(found: netlink.Attributes) -> str:
    """The name in the attributes of a link: it also becomes part of labels, paths and queries.

    Raises:
        FormatError: there is none, or one that dev_valid_name() in net/core/dev.c does not let pass.
    """
    name = netlink.text(found[IFLA_IFNAME]) if IFLA_IFNAME in found else ""
    if name in ("", ".", "..") or len(name) > _LONGEST_NAME or any(c in "/:" or c.isspace() for c in name):
        raise FormatError(f"rtnetlink: {name!r} cannot be the name of a network device")
    return name
