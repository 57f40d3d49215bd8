"""Requests of our own over HTTP, not to be measured: bounded in time and size whatever the other side does.

Knows HTTP/1.1 through the standard library. Its time limits begin anew with
each address and each byte, and do not cover the search for a name; here one
limit covers everything. Takes no proxy from the environment. Refuses to know
what is asked for.
"""

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from natobs import __version__
from natobs.errors import ConfigError
from natobs.probes.location import Location

Method = Literal["GET", "PUT", "POST", "DELETE"]

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
_START = Location("http", "localhost", 80, "/")
USER_AGENT = f"natobs/{__version__}"


class RequestError(Exception):
    """A request that brought no answer of use; the message says why, without names and passwords."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came.

    Args:
        status: of RFC 9110.
        kind: the content type as it was sent, empty for none.
        body: complete.
    """

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to be let in.

    Args:
        authorization: value of that header, sent to the URL's own origin only, instead of what the URL itself holds.
        tls: how a server is verified, and the client's certificate; None for the system's authorities and none.
        server_name: to verify instead of the URL's host; empty for that.
    """

    authorization: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    server_name: str = ""


def check_url(url: str) -> None:
    """Whether a URL can be asked.

    Raises:
        ConfigError: it cannot; the message does not repeat it, as it may hold a password.
    """
    try:
        _START.follow(url)
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"no URL that can be asked: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("no URL that can be asked: it does not begin with http:// or https:// and a host")
    if ":" in unquote(parts.username or ""):
        raise ConfigError("no URL that can be asked: its user name has a colon (RFC 7617)")


def shown(url: str) -> str:
    """A URL for a log, without name, password and query."""
    place = _START.follow(url)
    return f"{place.scheme}://{place.authority}{place.path.partition('?')[0]}"


class WebRequests:
    """Sends requests, one at a time.

    Args:
        limit: seconds for each, redirects included.
        most: bytes of an answer's body.
        access: what it takes to be let in.
    """

    def __init__(self, limit: float, most: int, access: Access | None = None) -> None:
        self._limit = limit
        self._most = most
        self._access = access or Access()
        self._lock = threading.Lock()
        self._guard: socket.socket | None = None
        self._found: SimpleQueue[_Addresses | OSError] | None = None
        self._cut = False
        self._abandoned = False

    def abandon(self) -> None:
        """Have the request under way, and every later one, fail; from any thread."""
        self._abandoned = True
        self._interrupt()

    def send(self, method: Method, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send a request, and follow redirects of a GET as far as they keep the scheme.

        Args:
            method: GET and DELETE without a body, PUT and POST with one.
            url: may hold a name and a password, which are sent to its own origin only.
            headers: further ones.
            body: of the request.

        Raises:
            RequestError: no complete answer came within the limit.
        """
        place, sent = _START.follow(url), {"User-Agent": USER_AGENT, "Connection": "close", **(headers or {})}
        origin, secret = place.origin, self._access.authorization or _authorization(url)
        deadline = time.monotonic() + self._limit
        for _turn in range(_MOST_REDIRECTS + 1):
            own = {"Authorization": secret} if secret and place.origin == origin else {}
            answer, location = self._ask(method, place, {**sent, **own}, body, deadline)
            if answer.status not in _REDIRECTS or method != "GET" or not location:
                return answer
            try:
                followed = place.follow(location)
            except ValueError as error:
                raise RequestError(f"it redirects to nowhere: {error}") from error
            if followed.scheme != place.scheme:
                raise RequestError(f"it redirects to {followed.scheme}; the URL of that has to be configured itself")
            place = followed
        raise RequestError(f"it redirects more than {_MOST_REDIRECTS} times")

    def _ask(
        self, method: str, place: Location, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> tuple[Answer, str]:
        """One exchange: the answer, and where it redirects to."""
        self._cut = False
        watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), self._interrupt)
        watchdog.daemon = True
        watchdog.start()
        connection = http.client.HTTPConnection(place.host, place.port)
        try:
            connection.sock = self._connect(place, deadline)
            connection.request(method, place.path, body or None, {"Host": place.authority, **headers})
            with connection.getresponse() as response:
                return self._read(response), response.getheader("Location", "")
        except (OSError, http.client.HTTPException) as error:
            if self._cut or isinstance(error, TimeoutError):
                raise RequestError(f"no complete answer within {self._limit:g} s") from error
            raise RequestError(_plain(error)) from error
        finally:
            watchdog.cancel()
            watchdog.join()
            connection.close()
            with self._lock:
                if self._guard is not None:
                    self._guard.close()
                self._guard = None

    def _connect(self, place: Location, deadline: float) -> socket.socket:
        """A connection to the first address that takes one, with TLS where the scheme says so."""
        failure: OSError = OSError(f"{place.host} has no address")
        for family, kind, protocol, _name, address in self._find(place, deadline):
            opened = socket.socket(family, kind, protocol)
            try:
                self._watch(opened, deadline)
                opened.connect(address)
                if place.scheme == "http":
                    return opened
                context = self._access.tls or ssl.create_default_context()
                return context.wrap_socket(opened, server_hostname=self._access.server_name or place.host)
            except OSError as error:
                opened.close()
                failure = error
                if self._cut:
                    break
        raise failure

    def _find(self, place: Location, deadline: float) -> _Addresses:
        """The addresses of a name; a search that takes too long is left behind in its thread."""
        found: SimpleQueue[_Addresses | OSError] = SimpleQueue()
        with self._lock:
            self._found = found
        if self._abandoned:
            raise TimeoutError

        def search() -> None:
            try:
                found.put(socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM))
            except (OSError, ValueError) as error:  # UnicodeError is one
                found.put(error if isinstance(error, OSError) else OSError(str(error)))

        thread = threading.Thread(target=search, name="natobs-web-name", daemon=True)
        thread.start()
        try:
            answer = found.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            raise TimeoutError from None
        if isinstance(answer, OSError):
            raise answer
        thread.join()
        return answer

    def _watch(self, opened: socket.socket, deadline: float) -> None:
        """Bound a socket's waiting; a duplicate of it lets another thread end that."""
        with self._lock:
            if self._guard is not None:
                self._guard.close()
            self._guard = opened.dup()
        left = deadline - time.monotonic()
        if left <= 0 or self._abandoned:
            self._cut = True
            raise TimeoutError
        opened.settimeout(left)

    def _interrupt(self) -> None:
        with self._lock:
            self._cut = True
            if self._found is not None:
                self._found.put(TimeoutError())
            if self._guard is not None:
                with contextlib.suppress(OSError):  # not connected yet
                    self._guard.shutdown(socket.SHUT_RDWR)

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        coding = response.getheader("Content-Encoding", "identity").lower()
        if coding != "identity":
            raise RequestError("the answer is compressed, which was not asked for")
        announced = response.length
        body = b"" if announced is not None and announced > self._most else response.read(self._most + 1)
        if len(body) > self._most or (announced or 0) > self._most:
            raise RequestError(f"the answer has more than {self._most} bytes")
        if self._cut or (announced is not None and len(body) < announced):
            raise http.client.IncompleteRead(body)
        return Answer(response.status, response.getheader("Content-Type", ""), body)


def _authorization(url: str) -> str:
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return ""
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _plain(error: OSError | http.client.HTTPException) -> str:
    """One sentence, without what a stranger has sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return f"its name does not resolve: {error.strerror}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"it does not speak HTTP as it should ({type(error).__name__})"
