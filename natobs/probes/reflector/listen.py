"""Addresses to sockets: UDP and TCP, IPv4 and IPv6, one socket for each address.

The wildcard becomes one socket for each family, so that every socket speaks one
kind of address. Refuses to know what is served.
"""

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from natobs.errors import ReflectorError

Endpoint = tuple[str, int]
"""Host and port; an empty host is every address of the machine, port 0 lets the kernel choose."""

_HINTS = {
    errno.EADDRINUSE: "another program listens there; stop it or choose another port",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}
_NO_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_BACKLOG = 128


def open_all(endpoints: Iterable[Endpoint], kind: socket.SocketKind) -> list[socket.socket]:
    """Bind a socket, or two for a wildcard, to every endpoint, or to none; TCP sockets listen.

    Raises:
        ReflectorError: the first address that cannot be bound, and why.
    """
    with ExitStack() as unwind:
        found = [unwind.enter_context(opened) for endpoint in endpoints for opened in _open(endpoint, kind)]
        unwind.pop_all()
        return found


def shown(opened: socket.socket) -> str:
    """Where a socket is bound, as a person writes it."""
    host, port = opened.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_wildcard(opened: socket.socket) -> bool:
    """Whether a socket takes what comes for any address."""
    return opened.getsockname()[0] in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound


def _open(endpoint: Endpoint, kind: socket.SocketKind) -> list[socket.socket]:
    host, port = endpoint
    try:
        if host:
            return [_bind(family, address, kind) for family, address in _addresses(host, port, kind)[:1]]
        first = _bind(socket.AF_INET, ("0.0.0.0", port), kind)  # noqa: S104 - asked for by an empty host
        try:
            return [first, _bind(socket.AF_INET6, ("::", first.getsockname()[1]), kind)]
        except OSError as error:
            if error.errno in _NO_FAMILY:  # a machine without IPv6
                return [first]
            first.close()
            raise
    except OSError as error:  # also socket.gaierror
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        hint = _HINTS.get(error.errno or 0, "check the host and the port")
        raise ReflectorError(f"cannot listen on {where}: {reason}; {hint}") from error


def _addresses(host: str, port: int, kind: socket.SocketKind) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    return [(family, address) for family, _, _, _, address in socket.getaddrinfo(host, port, type=kind)]


def _bind(family: socket.AddressFamily, address: tuple[object, ...], kind: socket.SocketKind) -> socket.socket:
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        if kind == socket.SOCK_STREAM:
            opened.listen(_BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened
