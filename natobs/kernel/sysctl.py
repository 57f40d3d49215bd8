"""Numeric kernel parameters, by their dotted names as sysctl(8) prints them.

Source: Documentation/admin-guide/sysctl/net.rst, Documentation/networking/ip-sysctl.rst
and nf_conntrack-sysctl.rst. A parameter that holds several numbers is read one
number at a time, by a last word of ours: ``net.ipv4.ip_local_port_range.min``.
Which parameters matter, and in which unit they are, is not known here.
"""

from pathlib import Path

from natobs.errors import FormatError
from natobs.kernel.machine import File, Machine, unavailable

_RANGES = {"min": 0, "max": 1}
"""Last words that pick a number of a parameter that holds two."""


def query(name: str) -> File:
    """The file of a parameter."""
    return File(f"/proc/sys/{_split(name)[0].replace('.', '/')}")


def read(machine: Machine, name: str) -> int:
    """The value of a parameter.

    Raises:
        UnavailableError: the kernel does not have it (here: several belong to the initial network namespace alone).
        FormatError: it holds no number, or more than one.
    """
    return parse(machine.ask(query(name)), name)


def write(name: str, value: int) -> None:
    """Set a parameter of this machine until it is started again; only a command that was asked to does.

    Args:
        name: of a parameter that holds one number.
        value: what it becomes.

    Raises:
        UnavailableError: the kernel does not have it, or this process may not write it.
    """
    path = query(name).path
    try:
        Path(path).write_text(f"{value}\n", "ascii")
    except OSError as error:
        raise unavailable(path, error.errno or 0) from error


def parse(data: bytes, name: str) -> int:
    """Decode the contents of a parameter's file.

    Raises:
        FormatError: not one number, or for a range not two.
    """
    position = _split(name)[1]
    words = data.split()
    expected = 1 if position is None else len(_RANGES)
    if len(words) != expected:
        raise FormatError(f"sysctl {name}: expected {expected} numbers, found {data[:40]!r}")
    try:
        value = int(words[position or 0])
    except ValueError as error:
        raise FormatError(f"sysctl {name}: expected a number, found {data[:40]!r}") from error
    if not -(1 << 63) <= value < 1 << 64:
        raise FormatError(f"sysctl {name}: a value of more than 64 bits")
    return value


def _split(name: str) -> tuple[str, int | None]:
    """The parameter, and which of its numbers is meant."""
    parameter, _dot, last = name.rpartition(".")
    return (parameter, _RANGES[last]) if last in _RANGES else (name, None)
