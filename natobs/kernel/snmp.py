"""Protocol counters of this network namespace: /proc/net/snmp, /proc/net/netstat and /proc/net/snmp6.

Sources: net/ipv4/proc.c (snmp_seq_show, netstat_seq_show), net/ipv6/proc.c,
RFC 4293 (IP), RFC 4022 (TCP), RFC 4113 (UDP). Fields are called as ``nstat``
calls them: protocol and field in one word, for example ``IpForwDatagrams``.
A field that the kernel does not have is missing from the result.

The counters are as wide as a machine word (those of IP are 64 bits wide
everywhere), never fall while the namespace lives, and begin at 0 with it. A few
fields are settings or gauges rather than counters (``IpForwarding``,
``TcpCurrEstab``); which is which is not known here.
"""

from dataclasses import dataclass
from functools import lru_cache

from natobs.errors import FormatError
from natobs.kernel.machine import File, Machine

SNMP_FILE = File("/proc/net/snmp")
NETSTAT_FILE = File("/proc/net/netstat")
SNMP6_FILE = File("/proc/net/snmp6")

_LIMIT = 1 << 64

Fields = dict[str, int]
"""Name as in ``nstat`` to value."""

Wanted = frozenset[str] | None
"""Names of fields; None for all."""


def read_snmp(machine: Machine, wanted: Wanted = None) -> Fields:
    """IP, ICMP, TCP and UDP; the latter two of this machine's own sockets, over IPv4 and (TCP only) IPv6.

    Args:
        machine: whose files.
        wanted: names of the fields to return; None for all.

    Raises:
        UnavailableError: the file cannot be read.
        FormatError: it is not the table that the kernel documents.
    """
    return parse_table(machine.ask(SNMP_FILE), SNMP_FILE.path, wanted)


def read_netstat(machine: Machine, wanted: Wanted = None) -> Fields:
    """Linux' own extensions for TCP and IP (``TcpExt…``, ``IpExt…``, ``MPTcpExt…``); raises as :func:`read_snmp`."""
    return parse_table(machine.ask(NETSTAT_FILE), NETSTAT_FILE.path, wanted)


def read_snmp6(machine: Machine, wanted: Wanted = None) -> Fields:
    """IPv6, ICMPv6 and UDP over IPv6; raises as :func:`read_snmp`, *absent* where IPv6 is switched off at boot."""
    return parse_snmp6(machine.ask(SNMP6_FILE), wanted)


def parse_table(data: bytes, origin: str, wanted: Wanted = None) -> Fields:
    """Decode pairs of lines, ``Ip: Name Name …`` and ``Ip: 1 2 …``.

    Args:
        data: the file.
        origin: what to call it in errors.
        wanted: names of the fields to return, the values of others are not looked at; None for all.

    Raises:
        FormatError: a line has no partner, their numbers of columns differ, or a value is no number of 64 bits.
    """
    fields: Fields = {}
    heads: dict[bytes, bytes] = {}
    pairs = 0
    for line in data.splitlines():
        protocol, colon, rest = line.partition(b":")
        if not colon:
            raise FormatError(f"{origin}: a line without a protocol: {line[:40]!r}")
        head = heads.pop(protocol, None)
        if head is None:
            heads[protocol] = rest
            continue
        pairs += 1
        fields |= _pick(_columns(protocol, head, wanted), rest.split(), origin)
    if heads or not pairs:
        raise FormatError(f"{origin}: not pairs of lines")
    return fields


def parse_snmp6(data: bytes, wanted: Wanted = None) -> Fields:
    """Decode lines of a name and a number.

    Raises:
        FormatError: a line is something else, or there is none.
    """
    cells = data.split()
    if not cells:
        raise FormatError(f"{SNMP6_FILE.path}: no counters")
    return _pick(_columns(b"", b" ".join(cells[::2]), wanted), cells[1::2], SNMP6_FILE.path)


@dataclass(frozen=True, slots=True)
class _Columns:
    """How many columns a line has, and the wanted ones: name and position."""

    count: int
    wanted: tuple[tuple[str, int], ...]


@lru_cache(maxsize=64)
def _columns(protocol: bytes, head: bytes, wanted: Wanted) -> _Columns:
    """The columns of a line. Kept, because they change with the kernel, or with a type of ICMP first seen."""
    names = [(protocol + name).decode("ascii", "replace") for name in head.split()]
    return _Columns(
        len(names), tuple((name, place) for place, name in enumerate(names) if wanted is None or name in wanted)
    )


def _pick(columns: _Columns, cells: list[bytes], origin: str) -> Fields:
    if len(cells) != columns.count:
        raise FormatError(f"{origin}: {len(cells)} values for {columns.count} names")
    try:
        fields = {name: int(cells[place]) for name, place in columns.wanted}
    except ValueError as error:
        raise FormatError(f"{origin}: {error}"[:200]) from error
    if fields and not -_LIMIT < min(fields.values()) <= max(fields.values()) < _LIMIT:
        raise FormatError(f"{origin}: a value of more than 64 bits")
    return fields
