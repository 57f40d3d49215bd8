"""The seam between natobs and a machine: a question goes in, the kernel's bytes come out.

Everything that the kernel layer wants to know is one of the queries below, so
that the same parsers run on this machine (:mod:`natobs.kernel.live`) and on one
that was written down (:mod:`natobs.kernel.recorded`). This module knows which
questions exist; it refuses to know how they are asked or what the answers mean.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from natobs.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class File:
    """A small file, mostly of procfs or sysfs, by absolute path. The answer is its contents."""

    path: str

    @property
    def key(self) -> str:
        """A relative path that is unique among all queries."""
        return self.path.lstrip("/")


@dataclass(frozen=True, slots=True)
class Netlink:
    """One netlink request. The answer is every datagram that came back, headers and NLMSG_DONE included.

    Args:
        name: names the question in recordings, for example ``link``.
        protocol: ``NETLINK_ROUTE`` or ``NETLINK_NETFILTER``.
        type: message type (``nlmsg_type``).
        payload: what follows the netlink header: the family's own header and attributes.
        dump: whether the kernel is asked for all objects (``NLM_F_DUMP``) or one.
    """

    name: str
    protocol: int
    type: int
    payload: bytes
    dump: bool = True

    @property
    def key(self) -> str:
        """A relative path that is unique among all queries."""
        return f"netlink/{self.name}"


class EthtoolTopic(Enum):
    """What can be asked of a network device through ``SIOCETHTOOL`` (include/uapi/linux/ethtool.h)."""

    SETTINGS = "settings"  # struct ethtool_cmd
    DRIVER = "driver"  # struct ethtool_drvinfo
    STRINGS = "strings"  # struct ethtool_gstrings of ETH_SS_STATS
    STATS = "stats"  # struct ethtool_stats


@dataclass(frozen=True, slots=True)
class Ethtool:
    """One ethtool request for one device. The answer is the structure named at :class:`EthtoolTopic`."""

    device: str
    topic: EthtoolTopic

    @property
    def key(self) -> str:
        """A relative path that is unique among all queries."""
        return f"ethtool/{self.device}/{self.topic.value}"


@dataclass(frozen=True, slots=True)
class Xtables:
    """The rules of one iptables-legacy table: ``struct ipt_getinfo`` followed by ``struct ipt_get_entries``.

    Args:
        ipv6: whether the table is ip6tables'.
        table: its name; it must be listed in ``/proc/net/ip_tables_names``, because asking loads it.
    """

    ipv6: bool
    table: str

    @property
    def key(self) -> str:
        """A relative path that is unique among all queries."""
        return f"xtables/{'ip6' if self.ipv6 else 'ip'}/{self.table}"


@dataclass(frozen=True, slots=True)
class Computed:
    """An answer that a library gives rather than the kernel, as JSON bytes.

    Args:
        name: names the question in recordings, for example ``psutil/cpu``.
        answer: asked only on the live machine.
    """

    name: str
    answer: Callable[[], bytes]

    @property
    def key(self) -> str:
        """A relative path that is unique among all queries."""
        return f"{self.name}.json"


Query = File | Netlink | Ethtool | Xtables | Computed


class StreamName(Enum):
    """What the kernel tells without being asked."""

    KERNEL_LOG = "kmsg"
    ROUTE_EVENTS = "route-events"
    PROBE_PACKETS = "probe-packets"
    CONNTRACK_DEATHS = "conntrack-deaths"


FROM_NOW_ON = b""
"""The message, once an opening, after which everything has happened since the opening; before it is what was kept."""


class Stream(Protocol):
    """Something that the kernel writes as it happens."""

    def fileno(self) -> int:
        """A file descriptor that polls readable when there is news; -1 where one has to look now and then."""

    def read(self) -> bytes | None:
        """The next message, or None when there is none now; :data:`FROM_NOW_ON` once after each opening.

        Raises:
            UnavailableError: messages were lost (reason ``busy``), or the stream broke.
        """

    def close(self) -> None:
        """Give back the descriptor."""


class Machine(Protocol):
    """A Linux machine that answers queries."""

    def ask(self, query: Query) -> bytes:
        """The answer to one query.

        Raises:
            UnavailableError: the machine has no such thing, or does not let this process see it.
        """

    def listen(self, name: StreamName) -> Stream:
        """Start to hear a stream.

        Raises:
            UnavailableError: as for :meth:`ask`.
        """

    def close(self) -> None:
        """Give back every descriptor."""


_REASONS = {
    errno.ENOENT: "absent",
    errno.ENODEV: "absent",
    errno.ENXIO: "absent",
    errno.ENOTDIR: "absent",
    errno.ESRCH: "absent",
    errno.EPERM: "permission",
    errno.EACCES: "permission",
    errno.EOPNOTSUPP: "unsupported",
    errno.ENOPROTOOPT: "unsupported",
    errno.EPROTONOSUPPORT: "unsupported",
    errno.EAFNOSUPPORT: "unsupported",
    errno.ENOTTY: "unsupported",
    errno.ENOSYS: "unsupported",
    errno.EINVAL: "unsupported",
    errno.EBUSY: "busy",
    errno.ENOBUFS: "busy",
    errno.EINTR: "busy",
    errno.EAGAIN: "timeout",
    errno.ETIMEDOUT: "timeout",
}


def unavailable(what: str, number: int, hint: str = "") -> UnavailableError:
    """The error for a question that the kernel refused with an errno.

    Args:
        what: what was asked, for a person.
        number: the errno; it decides the reason.
        hint: what would help, appended to the detail.
    """
    detail = f"{what}: {os.strerror(number)}"
    return UnavailableError(_REASONS.get(number, "error"), f"{detail} ({hint})" if hint else detail)
