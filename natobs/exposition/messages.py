"""Requests and responses as handlers see them.

Knows what a handler needs to know of HTTP and no more: no sockets, no bytes on
the wire, no compression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

SCRAPE_TIMEOUT_HEADER = "x-prometheus-scrape-timeout-seconds"
"""Prometheus sends its ``scrape_timeout`` in this header, in seconds."""

READING = ("GET", "HEAD")
"""The methods of every path that does not declare its own."""

_MARGIN_SHARE = 0.1
_MARGIN_LIMIT = 0.5
"""Kept back from the scraper's time limit for encoding and the way back: a tenth, at most half a second."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose head is complete; requests with a body never get this far.

    Args:
        method: ``GET`` or ``HEAD``, which a handler may treat alike: the body is left out for it; or another one
            that the path declares.
        path: decoded, without the query.
        query: as it came, without the question mark.
        headers: names in lower case; values of repeated fields joined by a comma.
        deadline: seconds that the handler may take from the moment it is called.
        client: numeric address of whoever asks.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    deadline: float
    client: str = ""


class Body(Protocol):
    """The bytes of a response; ``bytes``, or something that makes them as they are sent."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers. Length, date, compression and connection handling are added by the server.

    Args:
        status: of RFC 9110.
        body: uncompressed. The same ``bytes`` returned to many scrapers are compressed once; what is no ``bytes`` is
            never compressed.
        content_type: with its parameters.
        headers: further fields.
    """

    status: int
    body: Body
    content_type: str
    headers: tuple[tuple[str, str], ...] = field(default=())


class Handler(Protocol):
    """Makes the response to a request, in a worker thread, several at a time."""

    def __call__(self, request: Request, /) -> Response: ...


class Site(Handler, Protocol):
    """A handler whose paths declare their methods."""

    def methods(self, path: str, /) -> Sequence[str]:
        """What is allowed for a path; on the server's event loop, so quick."""


def methods_of(handler: "Handler | Site", path: str) -> Sequence[str]:
    """The methods that a handler allows for a path."""
    declared = getattr(handler, "methods", None)
    return READING if declared is None else declared(path)


def plain(status: HTTPStatus, sentence: str, *headers: tuple[str, str]) -> Response:
    """Answer with a status and one sentence for a person."""
    text = f"{status.value} {status.phrase}: {sentence}\n"
    return Response(status.value, text.encode(), "text/plain; charset=utf-8", headers)


def time_limit(headers: Mapping[str, str], longest: float) -> float:
    """Compute the seconds that a handler has: the scraper's limit less a margin, at most ``longest``.

    A header that is absent, or no positive number, means ``longest``.
    """
    try:
        given = float(headers.get(SCRAPE_TIMEOUT_HEADER, ""))
    except ValueError:
        return longest
    if not given > 0:  # also NaN
        return longest
    return min(longest, given - min(_MARGIN_LIMIT, given * _MARGIN_SHARE))
