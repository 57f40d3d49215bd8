"""Asks the kernel for the rules of iptables-legacy tables through getsockopt; returns its structures as they are.

Python's own ``getsockopt`` passes no input, and this option wants the name of
the table in the buffer; hence the C library's. Any datagram socket will do.
Sources: net/ipv4/netfilter/ip_tables.c (do_ipt_get_ctl), net/ipv6/netfilter/ip6_tables.c.
Needs CAP_NET_ADMIN in the user namespace that owns the network namespace.
"""

import ctypes
import errno
import socket
import struct

from natobs.errors import UnavailableError
from natobs.kernel.machine import Xtables, unavailable

_SO_GET_INFO = 64  # IPT_SO_GET_INFO, IP6T_SO_GET_INFO
_SO_GET_ENTRIES = 65  # IPT_SO_GET_ENTRIES, IP6T_SO_GET_ENTRIES
_INFO_BYTES = 84
_INFO_SIZE_OFFSET = 80
_ENTRIES_HEADER = struct.Struct("=32sI4x")
_SIZE = struct.Struct("=I")
_ATTEMPTS = 5
_C = ctypes.CDLL(None, use_errno=True)


def ask_xtables(query: Xtables) -> bytes:
    """``struct ipt_getinfo`` followed by ``struct ipt_get_entries`` of one table.

    Raises:
        UnavailableError: no such table, no privilege, or the table changed between all pairs of calls.
    """
    family, level = (socket.AF_INET6, socket.IPPROTO_IPV6) if query.ipv6 else (socket.AF_INET, socket.IPPROTO_IP)
    name = query.table.encode()
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
            for _attempt in range(_ATTEMPTS):
                info = _ask(any_socket, level, _SO_GET_INFO, name.ljust(_INFO_BYTES, b"\0"))
                (size,) = _SIZE.unpack_from(info, _INFO_SIZE_OFFSET)
                try:
                    head = _ENTRIES_HEADER.pack(name, size)
                    return info + _ask(any_socket, level, _SO_GET_ENTRIES, head.ljust(len(head) + size, b"\0"))
                except BlockingIOError:
                    continue  # EAGAIN: the table has another size by now
    except OSError as error:
        hint = "needs CAP_NET_ADMIN" if error.errno in (errno.EPERM, errno.EACCES) else ""
        raise unavailable(f"xtables {query.table}", error.errno or 0, hint) from error
    raise UnavailableError("busy", f"xtables {query.table}: changed during each of {_ATTEMPTS} readings")


def _ask(any_socket: socket.socket, level: int, option: int, content: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(content, len(content))
    length = ctypes.c_uint32(len(content))
    if _C.getsockopt(any_socket.fileno(), level, option, buffer, ctypes.byref(length)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "getsockopt")
    return buffer.raw
