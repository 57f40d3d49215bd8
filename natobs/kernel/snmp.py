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

from functools import lru_cache

from natobs.errors import FormatError
from natobs.kernel.machine import File, Machine

SNMP_FILE = File("/proc/net/snmp")
NETSTAT_FILE = File("/proc/net/netstat")
SNMP6_FILE = File("/proc/net/snmp6")

_LIMIT = 1 << 64

Fields = dict[str, int]
"""Name as in ``nstat`` to value."""


def read_snmp(machine: Machine) -> Fields:
    """IP, ICMP, TCP and UDP; the latter two of this machine's own sockets, over IPv4 and (TCP only) IPv6.

    Raises:
        UnavailableError: the file cannot be read.
        FormatError: it is not the table that the kernel documents.
    """
    return parse_table(machine.ask(SNMP_FILE), SNMP_FILE.path)


def read_netstat(machine: Machine) -> Fields:
    """Linux' own extensions for TCP and IP (``TcpExt…``, ``IpExt…``, ``MPTcpExt…``); raises as :func:`read_snmp`."""
    return parse_table(machine.ask(NETSTAT_FILE), NETSTAT_FILE.path)


def read_snmp6(machine: Machine) -> Fields:
    """IPv6, ICMPv6 and UDP over IPv6; raises as :func:`read_snmp`, *absent* where IPv6 is switched off at boot."""
    return parse_snmp6(machine.ask(SNMP6_FILE))


def parse_table(data: bytes, origin: str) -> Fields:
    """Decode pairs of lines, ``Ip: Name Name …`` and ``Ip: 1 2 …``.

    Args:
        data: the file.
        origin: what to call it in errors.

    Raises:
        FormatError: a line has no partner, their numbers of columns differ, or a value is no number of 64 bits.
    """
    fields: Fields = {}
    heads: dict[bytes, bytes] = {}
    for line in data.splitlines():
        protocol, colon, rest = line.partition(b":")
        if not colon:
            raise FormatError(f"{origin}: a line without a protocol: {line[:40]!r}")
        head = heads.pop(protocol, None)
        if head is None:
            heads[protocol] = rest
            continue
        names = _names(protocol, head)
        fields |= zip(names, _numbers(rest, len(names), origin), strict=True)
    if heads or not fields:
        raise FormatError(f"{origin}: not pairs of lines")
    return fields


def parse_snmp6(data: bytes) -> Fields:
    """Decode lines of a name and a number.

    Raises:
        FormatError: a line is something else, or there is none.
    """
    cells = data.split()
    values = _numbers(b" ".join(cells[1::2]), (len(cells) + 1) // 2, SNMP6_FILE.path)
    if not values:
        raise FormatError(f"{SNMP6_FILE.path}: no counters")
    return dict(zip(_texts(b" ".join(cells[::2])), values, strict=True))


@lru_cache(maxsize=32)
def _names(protocol: bytes, head: bytes) -> tuple[str, ...]:
    """The names of a line's columns. Kept, because they change with the kernel, or with a type of ICMP first seen."""
    prefix = protocol.decode("ascii", "replace")
    return tuple(prefix + name.decode("ascii", "replace") for name in head.split())


@lru_cache(maxsize=4)
def _texts(names: bytes) -> tuple[str, ...]:
    return tuple(name.decode("ascii", "replace") for name in names.split())


def _numbers(line: bytes, count: int, origin: str) -> list[int]:
    try:
        values = list(map(int, line.split()))
    except ValueError as error:
        raise FormatError(f"{origin}: {error}"[:200]) from error
    if len(values) != count:
        raise FormatError(f"{origin}: {len(values)} values for {count} names")
    if values and not -_LIMIT < min(values) <= max(values) < _LIMIT:
        raise FormatError(f"{origin}: a value of more than 64 bits")
    return values
