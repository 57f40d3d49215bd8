"""Tables of iptables-legacy: the structures that ``IPT_SO_GET_ENTRIES`` copies to user space.

Which tables exist is read from ``/proc/net/ip_tables_names``, because to ask
for one through the socket option would load it. Sources:
include/uapi/linux/netfilter/x_tables.h, netfilter_ipv4/ip_tables.h,
netfilter_ipv6/ip6_tables.h, net/ipv4/netfilter/ip_tables.c. The layout is that
of 64-bit processes (and of 32-bit ones that align 64-bit integers to 8 bytes,
such as ARM's; i386 does not), in the byte order of the machine that wrote it.

A table is one array of entries. A built-in chain starts where ``hook_entry``
points and ends with its policy, where ``underflow`` points; a user's chain
starts after an ``ERROR`` target that bears its name and ends with a rule of its
own that returns; an ``ERROR`` target ends the array.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel.firewall import Count, Policy, Rule, Table, Verdict
from natobs.kernel.machine import File, Machine, Xtables

NAMES = {False: File("/proc/net/ip_tables_names"), True: File("/proc/net/ip6_tables_names")}
"""Names of the tables that exist, a line each, by whether IPv6 is meant; readable to root only."""

_TABLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,31}")  # XT_TABLE_MAXNAMELEN with its NUL
_CHAINS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")  # enum nf_inet_hooks
_INFO = struct.Struct("=32sI5I5III")  # struct ipt_getinfo: name, valid hooks, hook_entry, underflow, entries, size
_ENTRIES = struct.Struct("=32sI4x")  # struct ipt_get_entries: name, size; entries are aligned to 8 bytes
_HEADERS_BYTES = _INFO.size + _ENTRIES.size
_OFFSETS = struct.Struct("=HH")  # target_offset, next_offset
_COUNTERS = struct.Struct("=QQ")  # struct xt_counters: packets, bytes
_EXTENSION = struct.Struct("=H29sB")  # struct xt_entry_match and xt_entry_target: size, name, revision
_VERDICT = struct.Struct("=i")
_NF_DROP_VERDICT = -1
"""Verdicts are stored as -verdict - 1; from 0 on they are the offset of a chain."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in struct ipt_entry or ip6t_entry."""

    match_bytes: int  # struct ipt_ip or ip6t_ip6: addresses, interfaces, protocol
    offsets: int
    counters: int
    header_bytes: int


_LAYOUT = {False: _Layout(84, 88, 96, 112), True: _Layout(136, 140, 152, 168)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the array in its parts; ``offset`` is counted from the first one, ``counters`` in the answer."""

    offset: int
    counters: int
    match: bytes
    extensions: bytes
    target: str
    revision: int
    payload: bytes

    @property
    def verdict(self) -> int | None:
        """The standard target's verdict or jump; None for any other target."""
        if self.target or len(self.payload) < _VERDICT.size:
            return None
        return int(_VERDICT.unpack_from(self.payload)[0])


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the counters are in an answer, and what they count.

    Args:
        offsets: of every entry's counters, rising.
        frame: the answer without its counters.
        rules: offset of its counters, rule, position in its chain.
        policies: offset of its counters, chain, whether the policy is to drop.
    """

    offsets: tuple[int, ...]
    frame: bytes
    rules: tuple[tuple[int, Rule, int], ...]
    policies: tuple[tuple[int, str, bool], ...]


def read_tables(machine: Machine, decoder: "TableDecoder", *, ipv6: bool) -> list[Table]:
    """Every table of iptables-legacy or, with ``ipv6``, ip6tables-legacy that exists in this network namespace.

    Args:
        machine: the machine to ask.
        decoder: remembers the rules from one call to the next.
        ipv6: which of the two.

    Raises:
        UnavailableError: no such tables in this kernel, or no privilege.
        FormatError: an answer is not what the kernel documents.
    """
    names = parse_names(machine.ask(NAMES[ipv6]))
    return [decoder.decode(machine.ask(Xtables(ipv6, name)), name, ipv6=ipv6) for name in names]


class TableDecoder:
    """Decodes tables, and remembers each one's rules for as long as nothing but counters changes."""

    def __init__(self) -> None:
        self._plans: dict[tuple[bool, str], _Plan] = {}

    def decode(self, data: bytes, name: str, *, ipv6: bool) -> Table:
        """Decode one table; counts and policies as ``iptables-legacy-save -c`` prints them.

        Args:
            data: ``struct ipt_getinfo`` followed by ``struct ipt_get_entries``.
            name: name of the table.
            ipv6: whether it is one of ip6tables.

        Raises:
            FormatError: lengths or offsets contradict one another.
        """
        plan = self._plans.get((ipv6, name))
        if plan is None or _frame(data, plan.offsets) != plan.frame:
            plan = self._plans[ipv6, name] = _plan(data, name, ipv6=ipv6)
        table = Table(("iptables-legacy", ipv6, name), "iptables-legacy", "ip6" if ipv6 else "ip", name)
        for offset, rule, position in plan.rules:
            packets, octets = _COUNTERS.unpack_from(data, offset)
            table.counts.append(Count(rule, position, packets, octets, packets if rule.verdict else None))
        for offset, chain, drop in plan.policies:
            table.policies.append(Policy(chain, drop, *_COUNTERS.unpack_from(data, offset)))
        return table


def parse_names(data: bytes) -> list[str]:
    """Decode ``/proc/net/ip_tables_names``.

    Raises:
        FormatError: a line is not the name of a table (which a recording could use to lead a reader astray).
    """
    names = data.decode("ascii", "replace").split("\n")
    for name in filter(None, names):
        if not _TABLE_NAME.fullmatch(name):
            raise FormatError(f"xtables: {name[:40]!r} is no name of a table")
    return [name for name in names if name]


def chains(data: bytes, name: str, *, ipv6: bool) -> dict[str, list[Entry]]:
    """The rules of every chain of a table, in their order, without policies.

    Args:
        data: as for :meth:`TableDecoder.decode`.
        name: name of the table.
        ipv6: whether it is one of ip6tables.

    Raises:
        FormatError: lengths or offsets contradict one another.
    """
    parts = _parts(data, name, ipv6=ipv6)
    return {chain: parts.rules(chain) for chain in parts.chains}


def matches(extensions: bytes) -> Iterator[tuple[str, bytes]]:
    """The matches of a rule: name, and the whole extension with its header.

    Raises:
        FormatError: one of them is truncated.
    """
    offset, end = 0, len(extensions)
    while end - offset >= _EXTENSION.size:
        size, name, _revision = _EXTENSION.unpack_from(extensions, offset)
        if not _EXTENSION.size <= size <= end - offset:
            raise FormatError(f"xtables: a match of {size} bytes in {end - offset}")
        yield _text(name), extensions[offset : offset + size]
        offset += size


@dataclass(frozen=True, slots=True)
class _Parts:
    """A table taken apart.

    Args:
        entries: all of them.
        chains: those of each chain; the last of a user's chain only ends it.
        feet: entries that are the policy of a built-in chain, and its name.
    """

    entries: list[Entry]
    chains: dict[str, list[Entry]]
    feet: list[tuple[Entry, str]]

    def rules(self, chain: str) -> list[Entry]:
        members = self.chains[chain]
        return members if any(chain == name for _entry, name in self.feet) else members[:-1]


def _parts(data: bytes, name: str, *, ipv6: bool) -> _Parts:
    if len(data) < _HEADERS_BYTES:
        raise FormatError(f"xtables {name}: {len(data)} bytes are no table")
    _name, hooks, *numbers = _INFO.unpack_from(data)
    size = numbers[-1]
    if len(data) - _HEADERS_BYTES < size:
        raise FormatError(f"xtables {name}: {len(data) - _HEADERS_BYTES} bytes of entries where {size} were announced")
    heads = {numbers[hook]: chain for hook, chain in enumerate(_CHAINS) if hooks >> hook & 1}
    feet = {numbers[len(_CHAINS) + hook]: chain for hook, chain in enumerate(_CHAINS) if hooks >> hook & 1}
    parts = _Parts(list(_walk(memoryview(data)[_HEADERS_BYTES : _HEADERS_BYTES + size], _LAYOUT[ipv6])), {}, [])
    current: list[Entry] = []
    for entry in parts.entries:
        if entry.offset in heads:
            current = parts.chains.setdefault(heads[entry.offset], [])
        if entry.offset in feet:
            parts.feet.append((entry, feet[entry.offset]))
        elif entry.target == "ERROR":
            current = parts.chains.setdefault(_text(entry.payload), [])
        else:
            current.append(entry)
    return parts


def _plan(data: bytes, name: str, *, ipv6: bool) -> _Plan:
    parts = _parts(data, name, ipv6=ipv6)
    starts = {members[0].offset: chain for chain, members in parts.chains.items() if members}
    rules: list[tuple[int, Rule, int]] = []
    for chain in parts.chains:
        rules += _rules(chain, parts.rules(chain), starts)
    policies = tuple((entry.counters, chain, entry.verdict == _NF_DROP_VERDICT) for entry, chain in parts.feet)
    offsets = tuple(entry.counters for entry in parts.entries)
    return _Plan(offsets, _frame(data, offsets), tuple(rules), policies)


def _frame(data: bytes, offsets: tuple[int, ...]) -> bytes:
    parts = []
    start = 0
    for offset in offsets:
        parts.append(data[start:offset])
        start = offset + _COUNTERS.size
    parts.append(data[start:])
    return b"".join(parts)


def _walk(blob: memoryview, layout: _Layout) -> Iterator[Entry]:
    offset, end = 0, len(blob)
    while offset < end:
        if end - offset < layout.header_bytes:
            raise FormatError(f"xtables: {end - offset} bytes left over after the last entry")
        to_target, to_next = _OFFSETS.unpack_from(blob, offset + layout.offsets)
        if not layout.header_bytes <= to_target <= to_next - _EXTENSION.size or to_next > end - offset:
            raise FormatError(f"xtables: an entry of {to_next} bytes with its target at {to_target}")
        _size, target, revision = _EXTENSION.unpack_from(blob, offset + to_target)
        yield Entry(
            offset=offset,
            counters=_HEADERS_BYTES + offset + layout.counters,
            match=bytes(blob[offset : offset + layout.match_bytes]),
            extensions=bytes(blob[offset + layout.header_bytes : offset + to_target]),
            target=_text(target),
            revision=revision,
            payload=bytes(blob[offset + to_target + _EXTENSION.size : offset + to_next]),
        )
        offset += to_next


def _rules(chain: str, entries: list[Entry], starts: dict[int, str]) -> Iterator[tuple[int, Rule, int]]:
    """The rules of one chain.

    A rule is known by all that does not change while others come and go: what it
    matches, its target (a chain by name, because its offset moves), and how many
    like it stand before it.
    """
    alike: dict[int, int] = {}
    for position, entry in enumerate(entries, 1):
        verdict = entry.verdict
        goal = entry.payload if verdict is None else starts.get(verdict, verdict)
        likeness = hash((entry.match, entry.extensions, entry.target, goal))
        alike[likeness] = number = alike.get(likeness, 0) + 1
        denies: Verdict = "drop" if verdict == _NF_DROP_VERDICT else "reject" if entry.target == "REJECT" else ""
        rule = Rule((chain, likeness, number), chain, _comment(entry.extensions), denies)
        yield entry.counters, rule, position


def _comment(extensions: bytes) -> str:
    """The text of the match named ``comment``: struct xt_comment_info, 256 bytes with a NUL."""
    for name, extension in matches(extensions):
        if name == "comment":
            return _text(extension[_EXTENSION.size :])
    return ""


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")
