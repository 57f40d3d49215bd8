"""Connection tracking counters: two small ctnetlink messages, or procfs where they are not to be had.

Sources: net/netfilter/nf_conntrack_netlink.c (ctnetlink_stat_ct,
ctnetlink_stat_ct_cpu), include/uapi/linux/netfilter/nfnetlink_conntrack.h,
net/netfilter/nf_conntrack_standalone.c (ct_cpu_seq_show). Attributes are
big-endian and 32 bits wide. The table itself is not read here.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import netlink
from natobs.kernel.machine import File, Machine, Netlink

_NFNL_SUBSYS_CTNETLINK = 1
_GET_STATS_CPU = _NFNL_SUBSYS_CTNETLINK << 8 | 4
_GET_STATS = _NFNL_SUBSYS_CTNETLINK << 8 | 5
_NFGENMSG = struct.Struct(">BBH")  # family, version, resource id
_ANY_FAMILY = _NFGENMSG.pack(0, 0, 0)

STATS = Netlink("conntrack-stats", netlink.NETLINK_NETFILTER, _GET_STATS, _ANY_FAMILY, dump=False)
STATS_CPU = Netlink("conntrack-stats-cpu", netlink.NETLINK_NETFILTER, _GET_STATS_CPU, _ANY_FAMILY)
COUNT_FILE = File("/proc/sys/net/netfilter/nf_conntrack_count")
MAX_FILE = File("/proc/sys/net/netfilter/nf_conntrack_max")
BUCKETS_FILE = File("/proc/sys/net/netfilter/nf_conntrack_buckets")
STAT_FILE = File("/proc/net/stat/nf_conntrack")

_CTA_STATS_GLOBAL_ENTRIES = 1
_CTA_STATS_GLOBAL_MAX_ENTRIES = 2
_CTA_STATS = {
    2: "found",
    4: "invalid",
    8: "insert",
    9: "insert_failed",
    10: "drop",
    11: "early_drop",
    12: "error",
    13: "search_restart",
    14: "clash_resolve",
    15: "chain_toolong",
}
_PROCFS_COLUMNS = {
    "found": "found",
    "invalid": "invalid",
    "insert": "insert",
    "insert_failed": "insert_failed",
    "drop": "drop",
    "early_drop": "early_drop",
    "icmp_error": "error",
    "search_restart": "search_restart",
    "clashres": "clash_resolve",
    "chainlength": "chain_toolong",
}
"""Column of /proc/net/stat/nf_conntrack to field; ``clashres`` (5.7), ``chainlength`` (5.15) took over idle columns."""

FIELDS = tuple(_CTA_STATS.values())

CpuCounters = dict[str, int]
"""Field name to a 32-bit counter; a field that the kernel does not have is missing."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Entries of this network namespace, and the limit: None where it cannot be read, 0 where there is none."""

    entries: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of every CPU, and which source (``ctnetlink`` or ``procfs``) gave them."""

    source: str
    cpus: dict[int, CpuCounters]


def read_usage(machine: Machine) -> Usage:
    """Entries and limit, from ctnetlink or else from sysctl files.

    Raises:
        UnavailableError: neither source is there; the detail names both.
        FormatError: the answer is not what the kernel documents.
    """
    usage = _either(
        lambda: parse_stats(machine.ask(STATS)), lambda: Usage(parse_count(machine.ask(COUNT_FILE)), limit=None)
    )
    if usage.limit is None:
        with suppress(UnavailableError):
            return replace(usage, limit=parse_count(machine.ask(MAX_FILE)))
    return usage


def read_counters(machine: Machine) -> Counters:
    """Per-CPU counters, from ctnetlink or else from procfs.

    Raises:
        UnavailableError: neither source is there; the detail names both.
        FormatError: the answer is not what the kernel documents.
    """
    return _either(
        lambda: Counters("ctnetlink", parse_stats_cpu(machine.ask(STATS_CPU))),
        lambda: Counters("procfs", parse_stat_file(machine.ask(STAT_FILE))),
    )


_T = TypeVar("_T")


def _either(first: Callable[[], _T], second: Callable[[], _T]) -> _T:
    """One source or else the other; why the first is not to be had is the reason, because it is there on any kernel."""
    try:
        return first()
    except UnavailableError as refused:
        try:
            return second()
        except UnavailableError as error:
            raise UnavailableError(refused.reason, f"{refused}; {error}") from error


def read_buckets(machine: Machine) -> int:
    """Hash buckets.

    Raises:
        UnavailableError: the sysctl is not there.
        FormatError: it is no number.
    """
    return parse_count(machine.ask(BUCKETS_FILE))


def parse_stats(data: bytes) -> Usage:
    """Decode the answer to ``IPCTNL_MSG_CT_GET_STATS``; kernels before 4.18 send no limit.

    Raises:
        FormatError: there is no entry count in it.
    """
    for body in netlink.messages(data, _GET_STATS):
        found = netlink.attributes(body, _NFGENMSG.size)
        if _CTA_STATS_GLOBAL_ENTRIES in found:
            limit = found.get(_CTA_STATS_GLOBAL_MAX_ENTRIES)
            return Usage(
                netlink.number(found[_CTA_STATS_GLOBAL_ENTRIES], ">"),
                None if limit is None else netlink.number(limit, ">"),
            )
    raise FormatError("conntrack statistics without a number of entries")


def parse_stats_cpu(data: bytes) -> dict[int, CpuCounters]:
    """Decode the answer to ``IPCTNL_MSG_CT_GET_STATS_CPU``: counters by CPU number (nfgenmsg.res_id).

    Raises:
        FormatError: a message is truncated, or there is none.
    """
    cpus: dict[int, CpuCounters] = {}
    for body in netlink.messages(data, _GET_STATS_CPU):
        found = netlink.attributes(body, _NFGENMSG.size)
        _family, _version, cpu = _NFGENMSG.unpack_from(body)
        cpus[cpu] = {name: netlink.number(found[kind], ">") for kind, name in _CTA_STATS.items() if kind in found}
    if not cpus:
        raise FormatError("conntrack statistics of no CPU")
    return cpus


def parse_stat_file(data: bytes) -> dict[int, CpuCounters]:
    """Decode ``/proc/net/stat/nf_conntrack``: column names, then a line of hexadecimal numbers for each possible CPU.

    CPUs are numbered by line, because the file does not name them (ct_cpu_seq_next).

    Raises:
        FormatError: a line has more or fewer numbers than there are names.
    """
    names, *lines = [line.split() for line in data.decode("ascii", "replace").splitlines()] or [[]]
    try:
        rows = [dict(zip(names, (int(cell, 16) for cell in line), strict=True)) for line in lines]
    except ValueError as error:
        raise FormatError(f"{STAT_FILE.path}: {error}") from error
    if not rows or "drop" not in names:
        raise FormatError(f"{STAT_FILE.path}: not the table of counters")
    return {
        cpu: {field: row[column] for column, field in _PROCFS_COLUMNS.items() if column in row}
        for cpu, row in enumerate(rows)
    }


def parse_count(data: bytes) -> int:
    """Decode a sysctl file that holds one number.

    Raises:
        FormatError: it holds something else.
    """
    text = data.strip()
    if not text.isdigit():
        raise FormatError(f"expected one number, found {text[:40]!r}")
    return int(text)
