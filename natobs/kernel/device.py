"""Network devices as far as routing needs them: number, name, and whether they carry packets.

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
_RTM_GETLINK = 18
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change mask
_IFLA_IFNAME = 3
_IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_LOWER_UP = 0x10000

DEVICES = Netlink(
    "device",
    netlink.NETLINK_ROUTE,
    _RTM_GETLINK,
    _IFINFOMSG.pack(0, 0, 0, 0, 0) + netlink.attribute(_IFLA_EXT_MASK, struct.pack("=I", _RTEXT_FILTER_SKIP_STATS)),
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
        FormatError: it is truncated.
    """
    found = netlink.attributes(body, _IFINFOMSG.size)
    family, _kind, index, flags, _mask = _IFINFOMSG.unpack_from(body)
    if family:
        return None
    if _IFLA_IFNAME not in found or index <= 0:
        raise FormatError(f"rtnetlink: link {index} without a name")
    up = bool(flags & _IFF_UP)
    return Device(
        index, netlink.text(found[_IFLA_IFNAME]), up, up and bool(flags & _IFF_LOWER_UP), bool(flags & _IFF_LOOPBACK)
    )
