"""Answers of network drivers: link speed, driver name, and their private statistics by name.

Source: include/uapi/linux/ethtool.h. Knows the structures that the ethtool
ioctl fills in; what the statistics of a driver mean is in
:mod:`natobs.kernel.nic`. Statistics and their names are two answers that belong
together only while the driver keeps its queues.
"""

import struct
from typing import Any

from natobs.errors import FormatError
from natobs.kernel.machine import Ethtool, EthtoolTopic, Machine

_GSET = 0x01
_GDRVINFO = 0x03
_GSTRINGS = 0x1B
_GSTATS = 0x1D
_COMMAND = struct.Struct("=I8xH14xH")  # struct ethtool_cmd: cmd, speed, speed_hi
_DRVINFO = struct.Struct("=I32s")  # struct ethtool_drvinfo: cmd, driver
_GSTRINGS_HEAD = struct.Struct("=III")  # struct ethtool_gstrings: cmd, string set, number of strings
_GSTATS_HEAD = struct.Struct("=II")  # struct ethtool_stats: cmd, number of statistics
_ETH_GSTRING_LEN = 32
_NO_SPEED = frozenset({0, 0xFFFF, 0xFFFFFFFF})
"""SPEED_UNKNOWN is -1, kept in 16 bits by drivers from before Linux 2.6.28; a link without carrier may say 0."""
_MEGABIT = 1_000_000


def read_speed(machine: Machine, device: str) -> int | None:
    """Speed of a link in bits per second, None where the driver does not know it.

    Raises:
        UnavailableError: no such device, or a driver without link settings (``unsupported``).
        FormatError: the answer is not what the kernel documents.
    """
    return parse_speed(machine.ask(Ethtool(device, EthtoolTopic.SETTINGS)))


def read_driver(machine: Machine, device: str) -> str:
    """Name of a device's driver, for example ``ena``.

    Raises:
        UnavailableError: no such device, or a driver without a name (``unsupported``).
        FormatError: the answer is not what the kernel documents.
    """
    return parse_driver(machine.ask(Ethtool(device, EthtoolTopic.DRIVER)))


def read_names(machine: Machine, device: str) -> tuple[str, ...]:
    """Names of a driver's statistics, in the order of :func:`read_values`.

    Raises:
        UnavailableError: no such device, or a driver without statistics (``unsupported``).
        FormatError: the answer is not what the kernel documents.
    """
    return parse_names(machine.ask(Ethtool(device, EthtoolTopic.STRINGS)))


def read_values(machine: Machine, device: str) -> tuple[int, ...]:
    """A driver's statistics. Raises as :func:`read_names` does."""
    return parse_values(machine.ask(Ethtool(device, EthtoolTopic.STATS)))


def parse_speed(data: bytes) -> int | None:
    """Decode struct ethtool_cmd: the speed in bits per second, or None.

    Raises:
        FormatError: another structure, or a part of it.
    """
    low, high = _head(_COMMAND, data, _GSET)
    megabits = high << 16 | low
    return None if megabits in _NO_SPEED else megabits * _MEGABIT


def parse_driver(data: bytes) -> str:
    """Decode struct ethtool_drvinfo: the driver's name.

    Raises:
        FormatError: another structure, or a part of it.
    """
    (name,) = _head(_DRVINFO, data, _GDRVINFO)
    return _text(name)


def parse_names(data: bytes) -> tuple[str, ...]:
    """Decode struct ethtool_gstrings; what follows the announced number is ignored.

    Raises:
        FormatError: another structure, or fewer names than announced.
    """
    _set, count = _head(_GSTRINGS_HEAD, data, _GSTRINGS)
    end = _GSTRINGS_HEAD.size + count * _ETH_GSTRING_LEN
    if end > len(data):
        raise FormatError(f"ethtool: {count} names announced in {len(data)} bytes")
    return tuple(_text(data[at : at + _ETH_GSTRING_LEN]) for at in range(_GSTRINGS_HEAD.size, end, _ETH_GSTRING_LEN))


def parse_values(data: bytes) -> tuple[int, ...]:
    """Decode struct ethtool_stats; what follows the announced number is ignored.

    Raises:
        FormatError: another structure, or fewer statistics than announced.
    """
    (count,) = _head(_GSTATS_HEAD, data, _GSTATS)
    if _GSTATS_HEAD.size + count * 8 > len(data):
        raise FormatError(f"ethtool: {count} statistics announced in {len(data)} bytes")
    return struct.unpack_from(f"={count}Q", data, _GSTATS_HEAD.size)


def _head(layout: struct.Struct, data: bytes, command: int) -> tuple[Any, ...]:
    """The fields after the command, which every structure begins with and the kernel leaves as it was asked."""
    if len(data) < layout.size:
        raise FormatError(f"ethtool: {len(data)} bytes where at least {layout.size} were expected")
    asked, *fields = layout.unpack_from(data)
    if asked != command:
        raise FormatError(f"ethtool: the answer to command {asked:#x}, not to {command:#x}")
    return tuple(fields)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
