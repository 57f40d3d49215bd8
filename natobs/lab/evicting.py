"""What Linux would give up for new flows in a full table of conntrack, found and removed by ctnetlink.

A new flow takes the place of an entry that is not assured and lies near its own
(early_drop, net/netfilter/nf_conntrack_core.c); and from a table that is nearly
full, connections that are being closed are dropped as well
(gc_worker_can_early_drop). A table with such entries is not full for everybody.
Knows two messages (include/uapi/linux/netfilter/nfnetlink_conntrack.h); refuses
to know why. What :mod:`natobs.lab.entries` made is passed over, by its mark.
"""

import socket
import struct
from contextlib import closing

from natobs.kernel import netlink
from natobs.kernel.conntrack_filter import (
    CTA_PROTOINFO,
    CTA_PROTOINFO_TCP,
    CTA_PROTOINFO_TCP_STATE,
    CTA_STATUS,
    CTA_TUPLE_ORIG,
    IPS_ASSURED,
)
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Netlink

_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
"""NFNL_SUBSYS_CTNETLINK << 8, and IPCTNL_MSG_CT_NEW, _GET, _DELETE."""
_CTA_MARK, _CTA_ID, _CTA_MARK_MASK = 8, 12, 21
_NESTED = 0x8000
_NFGENMSG_BYTES = 4
_UNMARKED = Netlink(
    "conntrack-unmarked",
    netlink.NETLINK_NETFILTER,
    _GET,
    bytes(_NFGENMSG_BYTES)
    + netlink.attribute(_CTA_MARK, struct.pack("!I", 0))
    + netlink.attribute(_CTA_MARK_MASK, struct.pack("!I", 0xFFFFFFFF)),
)
_CLOSING = frozenset({4, 5, 6, 7, 8})
"""FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT and CLOSE (include/uapi/linux/netfilter/nf_conntrack_tcp.h)."""


def evict() -> int:
    """Remove them from the table of this network namespace; gives how many there were.

    Raises:
        UnavailableError: no privilege.
        FormatError: the kernel's answer is not what it documents.
    """
    with closing(LiveMachine()) as machine:
        found = [deletion(entry) for entry in netlink.messages(machine.ask(_UNMARKED), _NEW) if gives_way(entry)]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER) as kernel:
        kernel.bind((0, 0))
        for message in found:
            kernel.send(message)
    return len(found)


def gives_way(entry: memoryview) -> bool:
    """Whether Linux would remove this entry, the body of a message."""
    found = netlink.attributes(entry, _NFGENMSG_BYTES)
    if not netlink.number(found[CTA_STATUS], ">") & IPS_ASSURED:
        return True
    tcp = netlink.attributes(found[CTA_PROTOINFO]).get(CTA_PROTOINFO_TCP) if CTA_PROTOINFO in found else None
    return tcp is not None and netlink.number(netlink.attributes(tcp)[CTA_PROTOINFO_TCP_STATE]) in _CLOSING


def deletion(entry: memoryview) -> bytes:
    """Write the message that removes this entry, and none that has taken its place since; nothing is answered."""
    found = netlink.attributes(entry, _NFGENMSG_BYTES)
    payload = (
        bytes(entry[:_NFGENMSG_BYTES])
        + netlink.attribute(CTA_TUPLE_ORIG | _NESTED, bytes(found[CTA_TUPLE_ORIG]))
        + netlink.attribute(_CTA_ID, bytes(found[_CTA_ID]))
    )
    return netlink.request(_DELETE, 0, 0, payload)
