"""What each CPU did with received packets: /proc/net/softnet_stat.

Sources: net/core/net-procfs.c (softnet_seq_show), struct softnet_data in
include/linux/netdevice.h. One line per online CPU, hexadecimal numbers of 32
bits that wrap, no column names. The file is about the whole machine, whatever
the network namespace.
"""

from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel.machine import File, Machine

SOFTNET_FILE = File("/proc/net/softnet_stat")

_FEWEST_COLUMNS = 3
_BACKLOG_COLUMN = 11
_CPU_COLUMN = 12
"""Both since Linux 5.10, which prints 13 columns; 15 since 6.4, 11 since 3.11, 9 or 10 before."""
_HEXADECIMAL = b"0123456789abcdef \n"


@dataclass(frozen=True, slots=True)
class Softnet:
    """One CPU.

    Args:
        processed: packets taken from devices and from the backlog.
        dropped: packets for which its backlog had no room (``net.core.netdev_max_backlog``).
        times_squeezed: how often it stopped with work left, out of ``netdev_budget`` or of time.
        backlog: packets waiting in its backlog now, None before Linux 5.10.
    """

    processed: int
    dropped: int
    times_squeezed: int
    backlog: int | None


def read_softnet(machine: Machine) -> dict[int, Softnet]:
    """Every online CPU, by number.

    Raises:
        UnavailableError: there is no such file.
        FormatError: it is not what the kernel documents.
    """
    return parse_softnet(machine.ask(SOFTNET_FILE))


def parse_softnet(data: bytes) -> dict[int, Softnet]:
    """Decode the file. Before Linux 5.10 it does not name the CPUs: then they are numbered by line.

    Raises:
        FormatError: it is empty, a line is too short, or something in it is no hexadecimal number.
    """
    if data.translate(None, _HEXADECIMAL):
        raise FormatError(f"{SOFTNET_FILE.path}: not a table of hexadecimal numbers: {data[:60]!r}")
    cpus: dict[int, Softnet] = {}
    for line, text in enumerate(data.splitlines()):
        row = [int(cell, 16) for cell in text.split()]
        if len(row) < _FEWEST_COLUMNS:
            raise FormatError(f"{SOFTNET_FILE.path}: line {line + 1} has {len(row)} columns")
        processed, dropped, times_squeezed, *_rest = row
        cpu, backlog = (row[_CPU_COLUMN], row[_BACKLOG_COLUMN]) if len(row) > _CPU_COLUMN else (line, None)
        cpus[cpu] = Softnet(processed, dropped, times_squeezed, backlog)
    if not cpus:
        raise FormatError(f"{SOFTNET_FILE.path}: no CPU in it")
    return cpus
