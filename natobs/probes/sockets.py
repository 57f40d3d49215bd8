"""Sockets as a probe definition wants them: source, interface, mark, TTL, DSCP; never blocking.

Knows socket options of ip(7), ipv6(7) and socket(7), and what connect(2) says to a host's own routing; refuses to
know what is sent.
"""

import errno
import socket
import struct

from natobs.probe_config import ProbeSettings

_SO_MARK = 36
_MARK = struct.Struct("=I")
"""As bytes: of a number Python takes no more than 31 bits."""
_MARK_NEEDS = "the mark needs CAP_NET_ADMIN"
_INTERFACE_NEEDS = "before Linux 5.7 an interface needs CAP_NET_RAW"
_IPV6_UNICAST_HOPS = 16
_IPV6_TCLASS = 67
_IP_BIND_ADDRESS_NO_PORT = 24
_FORBIDDEN = frozenset({errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL})
"""What connect(2) says at once, so that nobody was asked: a route that is unreachable, prohibit or blackhole."""
_DSCP_SHIFT = 2
"""The two low bits of the TOS octet are ECN (RFC 3168)."""


def open_socket(
    settings: ProbeSettings, family: int, kind: int, protocol: int = 0, source_port: int = 0
) -> socket.socket:
    """A socket with everything that the definition asks for, bound where it asks for a source.

    Args:
        settings: the probe's definition.
        family: AF_INET or AF_INET6.
        kind: SOCK_DGRAM, SOCK_STREAM or SOCK_RAW.
        protocol: as for socket(2).
        source_port: to bind to; 0 lets the kernel choose.

    Raises:
        OSError: a source address that this host does not have, a mark without CAP_NET_ADMIN, and so on.
    """
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        if settings.interface:
            _permitted(opened, socket.SO_BINDTODEVICE, settings.interface.encode(), _INTERFACE_NEEDS)
        if settings.mark:
            _permitted(opened, _SO_MARK, _MARK.pack(settings.mark), _MARK_NEEDS)
        if settings.ttl:
            _set(
                opened,
                family,
                (socket.IPPROTO_IP, socket.IP_TTL),
                (socket.IPPROTO_IPV6, _IPV6_UNICAST_HOPS),
                settings.ttl,
            )
        if settings.dscp:
            octet = settings.dscp << _DSCP_SHIFT
            _set(opened, family, (socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, _IPV6_TCLASS), octet)
        if settings.source or source_port:
            if kind == socket.SOCK_STREAM and not source_port:
                # connect chooses the port, by destination: one that is busy towards another is still free for this
                opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            _bind(opened, (settings.source or ("::" if family == socket.AF_INET6 else ""), source_port))
    except BaseException:
        opened.close()
        raise
    return opened


def connect(opened: socket.socket, peer: tuple[str, int]) -> None:
    """Begin to connect to a numeric address; a stream socket goes on by itself.

    Raises:
        OSError: with ENETUNREACH for every kind of route that leads nowhere, and EADDRNOTAVAIL where no source port is
            left, whatever the kernel says for that kind of socket.
    """
    try:
        opened.connect(peer)
    except OSError as error:
        if error.errno == errno.EINPROGRESS:
            return
        if error.errno == errno.EAGAIN:  # datagram sockets that find no port (inet_autobind, net/ipv4/af_inet.c)
            raise OSError(errno.EADDRNOTAVAIL, "this host has no source port left") from error
        if error.errno == errno.ENETUNREACH or error.errno in _FORBIDDEN:
            raise OSError(errno.ENETUNREACH, f"this host has no route to {peer[0]}: {error.strerror}") from error
        raise


def _bind(opened: socket.socket, source: tuple[str, int]) -> None:
    try:
        opened.bind(source)
    except socket.gaierror as error:  # nothing is looked up: a source is an address
        raise OSError(f"the source address {source[0]} is of another family than the target's") from error
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        # The same number as for "no port is left", which it does not mean here: without a number it counts as local.
        raise OSError(f"no interface of this host has the source address {source[0]}") from error


def _permitted(opened: socket.socket, option: int, value: bytes, needed: str) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, option, value)
    except PermissionError as error:
        raise PermissionError(error.errno, needed) from error


def _set(opened: socket.socket, family: int, v4: tuple[int, int], v6: tuple[int, int], value: int) -> None:
    level, option = v6 if family == socket.AF_INET6 else v4
    opened.setsockopt(level, option, value)
