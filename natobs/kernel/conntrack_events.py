"""What the stream of conntrack deaths says: how many of each kind there were since it was opened.

The kernel does the counting (:mod:`natobs.kernel.live_conntrack_events`); what
arrives here is its totals, and whether this kernel says enough about a death to
tell one kind from another. Single flows are not known.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import netlink, sysctl
from natobs.kernel.conntrack_filter import CTA_PROTOINFO, Death
from natobs.kernel.machine import Machine

_NFGENMSG_SIZE = 4
_LAYOUT = struct.Struct(f">B{len(Death)}Q")
_DETAILED = {0: None, 1: False, 2: True}

OFF, ALWAYS, AUTO = 0, 1, 2
"""Values of the parameter ``net.netfilter.nf_conntrack_events``."""


@dataclass(frozen=True, slots=True)
class Deaths:
    """Deaths since the stream was opened.

    Args:
        counts: by kind; they never fall.
        detailed: whether the kernel says in which state an entry died, and whether before its time (Linux 5.11 and
            later); None as long as no TCP connection died.
    """

    counts: Mapping[Death, int]
    detailed: bool | None


def message(deaths: Deaths) -> bytes:
    """A message of the stream, as :func:`parse` takes it."""
    detailed = next(code for code, meaning in _DETAILED.items() if meaning == deaths.detailed)
    return _LAYOUT.pack(detailed, *(deaths.counts[death] for death in Death))


def parse(data: bytes) -> Deaths:
    """Decode a message of the stream.

    Raises:
        FormatError: it has another size, or an unknown first byte.
    """
    if len(data) != _LAYOUT.size or data[0] not in _DETAILED:
        raise FormatError(f"conntrack deaths: a message of {len(data)} bytes that is not one of this natobs")
    detailed, *counts = _LAYOUT.unpack(data)
    return Deaths(dict(zip(Death, counts, strict=True)), _DETAILED[detailed])


def is_detailed(event: bytes) -> bool:
    """Whether the destroy event of a TCP connection, a netlink datagram, says in which state it died.

    Raises:
        FormatError: the datagram is truncated, or there is no message in it.
    """
    for _kind, _flags, _sequence, body in netlink.headers(event):
        return CTA_PROTOINFO in netlink.pick(body, {CTA_PROTOINFO}, _NFGENMSG_SIZE)
    raise FormatError("conntrack event: an empty datagram")


def read_mode(machine: Machine) -> int:
    """For which entries the kernel sends events: :data:`OFF`, :data:`ALWAYS`, or :data:`AUTO`.

    With AUTO (the default since Linux 5.19) only for those that were made while somebody listened
    (net/netfilter/nf_conntrack_ecache.c, nf_ct_ecache_ext_add).

    Raises:
        UnavailableError: the kernel has no events.
        FormatError: the parameter is no number.
    """
    return sysctl.read(machine, "net.netfilter.nf_conntrack_events")
