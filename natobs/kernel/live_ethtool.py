"""Asks network devices through the ethtool ioctl; returns the kernel's structures as they are.

Source: include/uapi/linux/ethtool.h, net/ethtool/ioctl.c. Works without
capabilities for everything asked here.
"""

import array
import errno
import fcntl
import socket
import struct
import threading

from natobs.kernel.machine import Ethtool, EthtoolTopic, unavailable

_SIOCETHTOOL = 0x8946
_ETHTOOL_GSET = 0x01
_ETHTOOL_GDRVINFO = 0x03
_ETHTOOL_GSTRINGS = 0x1B
_ETHTOOL_GSTATS = 0x1D
_ETHTOOL_GSSET_INFO = 0x37
_ETH_SS_STATS = 1
_ETH_GSTRING_LEN = 32
_ETHTOOL_CMD_BYTES = 44
_ETHTOOL_DRVINFO_BYTES = 196
_IFREQ = struct.Struct("16sP16x")
_STATISTIC_BYTES = 8
_SPARE_ITEMS = 512
"""Room beyond twice what was announced: a driver may gain queues between two calls, and the kernel writes all
that it has then, whatever the size of the buffer (ethtool_get_strings and ethtool_get_stats in net/ethtool/ioctl.c)."""


class EthtoolSocket:
    """Any datagram socket carries the ioctl; this one is opened at the first question."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def ask(self, query: Ethtool) -> bytes:
        """The structure that belongs to the topic.

        Raises:
            UnavailableError: no such device, or its driver offers nothing of the kind.
        """
        try:
            match query.topic:
                case EthtoolTopic.SETTINGS:
                    return self._ioctl(query.device, struct.pack("=I", _ETHTOOL_GSET), _ETHTOOL_CMD_BYTES)
                case EthtoolTopic.DRIVER:
                    return self._ioctl(query.device, struct.pack("=I", _ETHTOOL_GDRVINFO), _ETHTOOL_DRVINFO_BYTES)
                case EthtoolTopic.STRINGS:
                    count = self._statistics(query.device)
                    head = struct.pack("=III", _ETHTOOL_GSTRINGS, _ETH_SS_STATS, count)
                    return self._list(query.device, head, count, _ETH_GSTRING_LEN)
                case EthtoolTopic.STATS:
                    count = self._statistics(query.device)
                    head = struct.pack("=II", _ETHTOOL_GSTATS, count)
                    return self._list(query.device, head, count, _STATISTIC_BYTES)
        except OSError as error:
            raise unavailable(f"ethtool {query.topic.value} of {query.device}", error.errno or 0) from error

    def close(self) -> None:
        """Close the socket; the next question opens another."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _statistics(self, device: str) -> int:
        """How many statistics the driver has (struct ethtool_sset_info)."""
        head = struct.pack("=IIQ", _ETHTOOL_GSSET_INFO, 0, 1 << _ETH_SS_STATS)
        mask, count = struct.unpack_from("=QI", self._ioctl(device, head, len(head) + 4), 8)
        if not mask or not count:
            raise OSError(errno.EOPNOTSUPP, "no statistics")
        return int(count)

    def _list(self, device: str, head: bytes, count: int, size: int) -> bytes:
        """A header that ends with a number of items, and as many items as the kernel says it wrote."""
        answer = self._ioctl(device, head, len(head) + (2 * count + _SPARE_ITEMS) * size)
        (written,) = struct.unpack_from("=I", answer, len(head) - 4)
        return answer[: len(head) + written * size]

    def _ioctl(self, device: str, head: bytes, size: int) -> bytes:
        buffer = array.array("B", head.ljust(size, b"\0"))
        address, _length = buffer.buffer_info()
        with self._lock:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            fcntl.ioctl(self._socket, _SIOCETHTOOL, _IFREQ.pack(device.encode()[:15], address))
        return buffer.tobytes()
