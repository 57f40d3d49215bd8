"""Names to addresses without stopping the engine: the C library resolves in a few threads, answers are kept a while.

Knows getaddrinfo(3); refuses to know what is then done with an address.
"""

import functools
import os
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from queue import SimpleQueue

from natobs.probes.model import Wait

Address = tuple[socket.AddressFamily, tuple[str, int]]
"""A family, and host and port in numeric form."""

_Key = tuple[str, int, str]

_THREADS = 4
_REMEMBERED = 20_000
_FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class ResolveError(Exception):
    """A name that did not resolve; the message says why."""


@dataclass(eq=False, slots=True)
class _Lookup:
    """One question under way, however many attempts wait for it."""

    key: _Key
    waiting: set[int] = field(default_factory=set)
    done: bool = False
    addresses: list[Address] = field(default_factory=list)
    error: str = ""


class Resolver:
    """Resolves names for all probers of one engine, or of several.

    A name is asked for once at a time, so that a resolver that hangs holds up one question a name and no more.

    Args:
        seconds: how long an answer is used before the name is asked again; with 0 each time anew.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._questions: SimpleQueue[_Lookup | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._known: dict[_Key, tuple[float, list[Address]]] = {}
        self._running: dict[_Key, _Lookup] = {}

    def resolve(self, host: str, port: int, family: str) -> Generator[Wait, None, list[Address]]:
        """The addresses of a name, best first; to be used with ``yield from``.

        Args:
            host: name or address; an address costs nothing.
            port: is handed through.
            family: ``any``, ``ipv4`` or ``ipv6``.

        Raises:
            ResolveError: there is none.
        """
        literal = _literal(host, port, family)
        if literal is not None:
            return [literal]
        key = (host, port, family)
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] > time.monotonic():
                return known[1]
            lookup = self._running.get(key) or self._ask(key)
            descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            lookup.waiting.add(descriptor)
        yield from self._await(lookup, descriptor)
        if lookup.error:
            raise ResolveError(lookup.error)
        return lookup.addresses

    def address(self, host: str, port: int, family: str, number: int) -> Generator[Wait, None, Address]:
        """The address for one attempt: the first one, and for each retry the next; as :meth:`resolve` otherwise.

        Args:
            host: name or address.
            port: is handed through.
            family: ``any``, ``ipv4`` or ``ipv6``.
            number: 0 for a first attempt, 1 and up for retries.
        """
        literal = _literal(host, port, family)
        if literal is not None:
            return literal
        found = yield from self.resolve(host, port, family)
        return found[number % len(found)]

    def close(self) -> None:
        """Let the threads end; one that hangs in the C library ends with the process."""
        for _thread in self._threads:
            self._questions.put(None)

    def _ask(self, key: _Key) -> _Lookup:
        if len(self._threads) < _THREADS:
            thread = threading.Thread(target=self._answer, name="natobs-resolve", daemon=True)
            thread.start()  # first: where none is to be had, nobody shall wait for an answer to this
            self._threads.append(thread)
        lookup = self._running[key] = _Lookup(key)
        self._questions.put(lookup)
        return lookup

    def _await(self, lookup: _Lookup, descriptor: int) -> Generator[Wait, None, None]:
        try:
            while not lookup.done:
                yield Wait(descriptor)
        finally:
            # The thread writes while it holds the lock, and only to those who still wait.
            with self._lock:
                lookup.waiting.discard(descriptor)
            os.close(descriptor)

    def _answer(self) -> None:
        """A thread: look names up until there is nothing more to come."""
        while (lookup := self._questions.get()) is not None:
            host, port, family = lookup.key
            with self._lock:
                if not lookup.waiting:  # whoever asked has given up, and may ask again: what waits here is bounded
                    del self._running[lookup.key]
                    continue
            try:
                lookup.addresses = _look_up(host, port, _FAMILIES[family])
            except (OSError, ValueError) as error:  # UnicodeError is one
                lookup.error = f"{host}: {error}"
            with self._lock:
                if self.seconds and not lookup.error:
                    if len(self._known) >= _REMEMBERED:
                        self._known.clear()
                    self._known[lookup.key] = (time.monotonic() + self.seconds, lookup.addresses)
                del self._running[lookup.key]
                lookup.done = True
                for descriptor in lookup.waiting:
                    os.eventfd_write(descriptor, 1)


@functools.lru_cache(maxsize=_REMEMBERED)
def _literal(host: str, port: int, wanted: str) -> Address | None:
    """An address that needs no resolving; kept, since most targets are given like that.

    Raises:
        ResolveError: it is of another family than the wanted one.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, host)
        except OSError:
            continue
        if _FAMILIES[wanted] not in {socket.AF_UNSPEC, family}:
            raise ResolveError(f"{host} is no {wanted} address")
        return family, (socket.inet_ntop(family, packed), port)  # written as the kernel writes it
    return None


def _look_up(host: str, port: int, family: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    return [(kind, (str(address[0]), port)) for kind, _type, _protocol, _name, address in found]
