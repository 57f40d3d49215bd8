"""Queueing disciplines: what waits to be sent, and what was dropped instead.

Sources: net/sched/sch_api.c (tc_dump_qdisc, tc_fill_qdisc),
include/uapi/linux/rtnetlink.h (struct tcmsg), include/uapi/linux/gen_stats.h,
include/uapi/linux/pkt_sched.h (struct tc_stats). Devices are known by index
only; their names are in :mod:`natobs.kernel.link`.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink

_RTM_NEWQDISC = 36
_RTM_GETQDISC = 38
_TCMSG = struct.Struct("=B3xiIII")  # family, device index, handle, parent, info

QDISCS = Netlink("qdisc", netlink.NETLINK_ROUTE, _RTM_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))

_TCA_KIND = 1
_TCA_STATS = 3
_TCA_STATS2 = 7
_TCA_STATS_QUEUE = 3
_WANTED = frozenset({_TCA_KIND, _TCA_STATS, _TCA_STATS2})
_QUEUE = struct.Struct("=IIIII")  # packets waiting, bytes waiting, drops, requeues, overlimits
_TC_STATS = struct.Struct(
    "=QIIIIIII"
)  # bytes, packets, drops, overlimits, bytes/s, packets/s, packets and bytes waiting

_TC_H_ROOT = 0xFFFFFFFF
_TC_H_INGRESS = 0xFFFFFFF1
"""Also the parent of ``clsact`` (TC_H_CLSACT)."""
_MAJOR = 0xFFFF0000
_FANS = frozenset({"mq", "mqprio", "cake_mq"})
"""Kinds that only spread packets over one qdisc per hardware queue, and report the sum of those."""


@dataclass(frozen=True, slots=True)
class Qdisc:
    """One queueing discipline; all counters are 32 bits wide and wrap.

    Args:
        device: index of its network device.
        kind: for example ``fq_codel``.
        handle: its own number, 0 for those that the kernel made by itself.
        parent: the class it hangs from.
        drops: packets dropped since it was made.
        backlog: bytes waiting now.
    """

    device: int
    kind: str
    handle: int
    parent: int
    drops: int
    backlog: int


def read_qdiscs(machine: Machine) -> tuple[Qdisc, ...]:
    """Every qdisc that has counters, of every device.

    Raises:
        UnavailableError: the kernel refused, or is built without traffic control.
        FormatError: the answer is not what the kernel documents.
    """
    return parse_qdiscs(machine.ask(QDISCS))


def parse_qdiscs(data: bytes) -> tuple[Qdisc, ...]:
    """Decode the answer to ``RTM_GETQDISC``; what has no queue (``noqueue``) or no counters is passed over.

    Raises:
        FormatError: a message is truncated, or a qdisc has no kind.
    """
    qdiscs = []
    for body in netlink.messages(data, _RTM_NEWQDISC):
        found = netlink.pick(body, _WANTED, _TCMSG.size)
        _family, device, handle, parent, _info = _TCMSG.unpack_from(body)
        if _TCA_KIND not in found:
            raise FormatError(f"rtnetlink: a qdisc of device {device} without a kind")
        kind = netlink.text(found[_TCA_KIND])
        counters = _counters(found)
        if kind != "noqueue" and counters is not None:
            qdiscs.append(Qdisc(device, kind, handle, parent, *counters))
    return tuple(qdiscs)


def topmost(qdiscs: Iterable[Qdisc]) -> list[Qdisc]:
    """Those qdiscs whose counters add up to the device's, each packet once.

    A classful qdisc counts what its children drop as its own
    (qdisc_tree_reduce_backlog and the enqueue functions in net/sched), so only
    the topmost count; ``mq`` and its like have no queue of their own and give
    way to their children, one for each hardware queue. What hangs at ingress
    (``ingress``, ``clsact``) drops by filters and is a top of its own.
    """
    qdiscs = list(qdiscs)
    fans = {(qdisc.device, qdisc.handle & _MAJOR) for qdisc in qdiscs if _is_fan(qdisc)}
    return [
        qdisc
        for qdisc in qdiscs
        if not _is_fan(qdisc)
        and (qdisc.parent in (_TC_H_ROOT, _TC_H_INGRESS) or (qdisc.device, qdisc.parent & _MAJOR) in fans)
    ]


def _is_fan(qdisc: Qdisc) -> bool:
    return qdisc.parent == _TC_H_ROOT and qdisc.kind in _FANS


def _counters(found: netlink.Attributes) -> tuple[int, int] | None:
    """Drops and backlog, from ``TCA_STATS2`` or else from ``TCA_STATS``, its forerunner."""
    if _TCA_STATS2 in found:
        queue = netlink.attributes(found[_TCA_STATS2]).get(_TCA_STATS_QUEUE)
        if queue is not None:
            _waiting, backlog, drops, _requeues, _overlimits = _unpack(_QUEUE, queue)
            return drops, backlog
    if _TCA_STATS in found:
        _bytes, _packets, drops, _over, _bps, _pps, _waiting, backlog = _unpack(_TC_STATS, found[_TCA_STATS])
        return drops, backlog
    return None


def _unpack(layout: struct.Struct, view: memoryview) -> tuple[int, ...]:
    if len(view) < layout.size:
        raise FormatError(f"rtnetlink: {len(view)} bytes of qdisc counters, at least {layout.size} expected")
    return layout.unpack_from(view)
