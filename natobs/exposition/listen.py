"""Addresses to listen on: from text to bound sockets.

Knows addresses and the errors of binding them. Knows nothing of what is served.
"""

import errno
import os
import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

from natobs.errors import ConfigError, ExpositionError
from natobs.exposition.limits import Limits

_LISTEN = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_HINTS = {
    errno.EADDRINUSE: "another program listens there; stop it or choose another port",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}


class Address(NamedTuple):
    """Where to listen. An empty host is every address of the machine; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Address:
    """Read ``host:port``, ``[v6]:port`` or ``:port``.

    Raises:
        ConfigError: the text is none of these.
    """
    match = _LISTEN.fullmatch(text)
    if not match:
        hint = "; an IPv6 address needs brackets, as in [::1]:9650" if text.count(":") > 1 else ""
        raise ConfigError(f"listen address {text!r} is not HOST:PORT, [IPV6]:PORT or :PORT{hint}")
    port = int(match["port"])
    if port > _MAX_PORT:
        raise ConfigError(f"listen address {text!r}: port {port} is above {_MAX_PORT}")
    try:
        (match["host"] or "").encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"listen address {text!r}: {match['host']!r} is not a host name") from error
    v6 = match["v6"]
    if v6 is not None and ":" not in v6:
        raise ConfigError(f"listen address {text!r}: {v6!r} in brackets is not an IPv6 address")
    return Address(match["host"] or "" if v6 is None else v6, port)


def bind(addresses: Iterable[Address], limits: Limits) -> list[socket.socket]:
    """Bind and listen on every address, or on none. Accepted sockets inherit the buffer sizes.

    Raises:
        ExpositionError: the first address that cannot be bound, and why.
    """
    with ExitStack() as unwind:
        listeners = [unwind.enter_context(_bind_one(address, limits.backlog)) for address in addresses]
        for listener in listeners:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_buffer)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer)
        unwind.pop_all()
        return listeners


def bound_address(listener: socket.socket) -> Address:
    """Read from a listening socket where it listens."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def _bind_one(address: Address, backlog: int) -> socket.socket:
    try:
        if address.host in {"", "::"} and socket.has_dualstack_ipv6():
            # As Go does: the wildcard is both families.
            everywhere = ("::", address.port)
            return socket.create_server(everywhere, family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
        info = socket.getaddrinfo(
            address.host or "0.0.0.0",  # noqa: S104 - asked for by an empty host
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
        family, _, _, _, where = info[0]
        return socket.create_server(where, family=family, backlog=backlog)
    except OSError as error:  # also socket.gaierror
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        hint = _HINTS.get(error.errno or 0, "check the host and the port")
        raise ExpositionError(f"cannot listen on {address}: {reason}; {hint}") from error
