"""Network devices and their counters, from one rtnetlink dump.

Sources: include/uapi/linux/if_link.h, net/core/rtnetlink.c (rtnl_fill_ifinfo,
rtnl_stats_dump), Documentation/networking/statistics.rst. Knows what the kernel
says about a device; which of them matter to a NAT is not known here, except
that nothing is forwarded over loopback, and that real hardware comes before
virtual devices when there are too many.
"""

import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import device, netlink
from natobs.kernel.machine import Machine, Netlink

_RTM_NEWSTATS = 92
_RTM_GETSTATS = 94
_IF_STATS_MSG = struct.Struct("=B3xII")  # family, index, filter mask
_IFLA_STATS_LINK_64 = 1

LINKS = Netlink("link", netlink.NETLINK_ROUTE, device.RTM_GETLINK, device.IFINFOMSG.pack(0, 0, 0, 0, 0))
"""Without ``IFLA_EXT_MASK``: of its bits, one takes counters away and others add every virtual function of a card."""
COUNTERS = Netlink(
    "link-stats", netlink.NETLINK_ROUTE, _RTM_GETSTATS, _IF_STATS_MSG.pack(0, 0, 1 << (_IFLA_STATS_LINK_64 - 1))
)
"""The counters alone (Linux 4.7): a sixth of the bytes of :data:`LINKS`, for a sampler."""

_IFLA_MTU = 4
_IFLA_STATS = 7
_IFLA_MASTER = 10
_IFLA_OPERSTATE = 16
_IFLA_LINKINFO = 18
_IFLA_STATS64 = 23
_IFLA_CARRIER = 33
_IFLA_CARRIER_CHANGES = 35
_IFLA_PARENT_DEV_NAME = 56
_WANTED = frozenset(
    {
        device.IFLA_IFNAME,
        _IFLA_MTU,
        _IFLA_STATS,
        _IFLA_MASTER,
        _IFLA_OPERSTATE,
        _IFLA_LINKINFO,
        _IFLA_STATS64,
        _IFLA_CARRIER,
        _IFLA_CARRIER_CHANGES,
        _IFLA_PARENT_DEV_NAME,
    }
)
_IFLA_INFO_KIND = 1
_IFF_RUNNING = 0x40
_OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
"""RFC 2863, in the order of ``enum`` in include/uapi/linux/if.h."""
_STATS64 = struct.Struct("=8Q56xQ")
_STATS32 = struct.Struct("=8I28xI")
"""The fields of :class:`Traffic`: the first eight and the sixteenth of both structures, which begin alike. The kernel
sends 23, 24 (4.6) or 25 fields (5.19); before 2.6.35 only those of 32 bits, whose bytes wrap within seconds."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters of one device since it appeared (struct rtnl_link_stats64); bytes are of frames without their FCS.

    Args:
        rx_dropped: received, but not processed: unknown protocol, no memory, a full backlog.
        rx_missed: not received, because the device had no buffer left; ``/proc/net/dev`` adds them to the drops.
    """

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int
    rx_missed: int


@dataclass(frozen=True, slots=True)
class Link:
    """One network device.

    Args:
        index: unique in its network namespace while it exists.
        name: as the kernel allows it: 1 to 15 bytes, no slash, no blank.
        kind: of a device made by software, for example ``veth``; empty for most hardware.
        bus: the bus address of hardware (Linux 5.14), else empty.
        flags: ``IFF_*``.
        operstate: a word of RFC 2863; ``unknown`` where the driver does not say.
        mtu: bytes, None where the kernel does not say.
        master: index of the bridge, bond or VRF that it belongs to, 0 for none.
        carrier: whether there is a carrier, None where the kernel does not say.
        carrier_changes: how often that changed since the device appeared, None before Linux 3.15.
        traffic: None where the kernel sent no counters.
    """

    index: int
    name: str
    kind: str
    bus: str
    flags: int
    operstate: str
    mtu: int | None
    master: int
    carrier: bool | None
    carrier_changes: int | None
    traffic: Traffic | None

    @property
    def loopback(self) -> bool:
        """Whether it leads only back to this machine."""
        return bool(self.flags & device.IFF_LOOPBACK)

    @property
    def running(self) -> bool:
        """Up, and able to pass packets as far as its driver knows (``netif_oper_up``)."""
        return self.flags & (device.IFF_UP | _IFF_RUNNING) == device.IFF_UP | _IFF_RUNNING

    @property
    def hardware(self) -> bool:
        """Whether it is a network card (or what a hypervisor presents as one): on a bus, or of no software kind."""
        return bool(self.bus) or not (self.kind or self.loopback)


def read_links(machine: Machine) -> tuple[Link, ...]:
    """Every device of this network namespace, in the kernel's order.

    Raises:
        UnavailableError: the kernel refused.
        FormatError: the answer is not what the kernel documents.
    """
    return parse_links(machine.ask(LINKS))


def read_counters(machine: Machine, wanted: Container[int]) -> dict[int, Traffic]:
    """The counters of some devices, by index; the cheap way.

    Raises:
        UnavailableError: the kernel refused (``unsupported`` before Linux 4.7).
        FormatError: the answer is not what the kernel documents.
    """
    return parse_counters(machine.ask(COUNTERS), wanted)


def foremost(links: Iterable[Link], most: int = device.MOST_DEVICES) -> tuple[list[Link], int]:
    """The devices to report one by one, and how many were left out.

    Loopback is no part of either: nothing is forwarded over it. When there are
    too many, hardware goes first, then what belongs to no bridge, bond or VRF,
    then the older device.
    """
    devices = [link for link in links if not link.loopback]
    if len(devices) > most:
        devices.sort(key=lambda link: (not link.hardware, link.master != 0, link.index))
    return devices[:most], max(0, len(devices) - most)


def parse_links(data: bytes) -> tuple[Link, ...]:
    """Decode the answer to ``device.RTM_GETLINK``.

    Raises:
        FormatError: a message is truncated, a device has no valid name, or there is no device at all.
    """
    links = tuple(_parse_link(body) for body in netlink.messages(data, device.RTM_NEWLINK))
    if not links:
        raise FormatError("rtnetlink: no network device, not even loopback")
    return links


def parse_counters(data: bytes, wanted: Container[int]) -> dict[int, Traffic]:
    """Decode the answer to ``RTM_GETSTATS`` for the wanted indexes; a device without counters is missing.

    Raises:
        FormatError: a message is truncated.
    """
    counters: dict[int, Traffic] = {}
    for body in netlink.messages(data, _RTM_NEWSTATS):
        if len(body) < _IF_STATS_MSG.size:
            raise FormatError(f"rtnetlink: {len(body)} bytes of counters, a header of {_IF_STATS_MSG.size} expected")
        _family, index, _mask = _IF_STATS_MSG.unpack_from(body)
        if index in wanted:
            found = netlink.attributes(body, _IF_STATS_MSG.size)
            if _IFLA_STATS_LINK_64 in found:
                counters[index] = _traffic(_STATS64, found[_IFLA_STATS_LINK_64])
    return counters


def _parse_link(body: memoryview) -> Link:
    found = netlink.pick(body, _WANTED, device.IFINFOMSG.size)
    _family, _type, index, flags, _change = device.IFINFOMSG.unpack_from(body)
    info = netlink.attributes(found[_IFLA_LINKINFO]) if _IFLA_LINKINFO in found else {}
    traffic = None
    if _IFLA_STATS64 in found:
        traffic = _traffic(_STATS64, found[_IFLA_STATS64])
    elif _IFLA_STATS in found:
        traffic = _traffic(_STATS32, found[_IFLA_STATS])
    mtu = found.get(_IFLA_MTU)
    carrier = found.get(_IFLA_CARRIER)
    changes = found.get(_IFLA_CARRIER_CHANGES)
    operstate = netlink.number(found[_IFLA_OPERSTATE]) if _IFLA_OPERSTATE in found else 0
    return Link(
        index=index,
        name=device.name_in(found),
        kind=netlink.text(info[_IFLA_INFO_KIND]) if _IFLA_INFO_KIND in info else "",
        bus=netlink.text(found[_IFLA_PARENT_DEV_NAME]) if _IFLA_PARENT_DEV_NAME in found else "",
        flags=flags,
        operstate=_OPERSTATES[operstate] if operstate < len(_OPERSTATES) else "unknown",
        mtu=None if mtu is None else netlink.number(mtu),
        master=netlink.number(found[_IFLA_MASTER]) if _IFLA_MASTER in found else 0,
        carrier=None if carrier is None else bool(netlink.number(carrier)),
        carrier_changes=None if changes is None else netlink.number(changes),
        traffic=traffic,
    )


def _traffic(layout: struct.Struct, view: memoryview) -> Traffic:
    if len(view) < layout.size:
        raise FormatError(f"rtnetlink: {len(view)} bytes of counters, at least {layout.size} expected")
    return Traffic(*layout.unpack_from(view))
