"""Names to addresses without stopping the engine: the C library resolves in a few threads, answers are kept a while.

Knows getaddrinfo(3); refuses to know what is then done with an address.
"""

import os
import socket
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

from natobs.probes.model import Wait

Address = tuple[socket.AddressFamily, tuple[str, int]]
"""A family, and host and port in numeric form."""

_THREADS = 4
_REMEMBERED = 20_000
_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class ResolveError(Exception):
    """A name that did not resolve; the message says why."""


class Resolver:
    """Resolves names for all probers of one engine.

    Args:
        seconds: how long an answer is used before the name is asked again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(_THREADS, "natobs-resolve")
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, str], tuple[float, list[Address]]] = {}

    def resolve(self, host: str, port: int, family: str) -> Generator[Wait, None, list[Address]]:
        """The addresses of a name, best first; to be used with ``yield from``.

        Args:
            host: name or address; an address costs nothing.
            port: is handed through.
            family: ``any``, ``ipv4`` or ``ipv6``.

        Raises:
            ResolveError: there is none.
        """
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        key = (host, port, family)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        future = self._pool.submit(_lookup, host, port, _FAMILIES[family])
        # The thread gets a descriptor of its own: ours is closed when the attempt's time is up.
        signal = os.dup(done)
        future.add_done_callback(lambda _future: _tell(signal))
        try:
            while not future.done():
                yield Wait(done)
        finally:
            os.close(done)
        addresses = future.result()
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = (time.monotonic() + self._seconds, addresses)
        return addresses

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _tell(descriptor: int) -> None:
    os.eventfd_write(descriptor, 1)
    os.close(descriptor)


def _literal(host: str, port: int) -> Address | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family, (host, port)
    return None


def _lookup(host: str, port: int, family: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ResolveError(f"{host}: {error}") from error
    return [(kind, (str(address[0]), port)) for kind, _type, _protocol, _name, address in found]
