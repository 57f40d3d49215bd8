"""Paths to handlers, and the page for a path that leads nowhere.

Knows paths and their methods; what changes something is closed to the pages of
other sites. Refuses to know what is behind a path.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from urllib.parse import quote

from natobs.exposition.crosssite import is_cross_site
from natobs.exposition.messages import READING, Handler, Request, Response, methods_of, plain

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>natobs: no such page</title>
<h1>No such page</h1>
<p>There are:
<ul>
{items}
</ul>
"""


@dataclass(frozen=True, slots=True)
class Action:
    """A handler for other methods than GET and HEAD.

    Args:
        handler: called for requests that no page of another site is behind.
        allowed: the methods.
    """

    handler: Handler
    allowed: tuple[str, ...]

    def methods(self, path: str) -> Sequence[str]:
        """What is allowed."""
        return self.allowed

    def __call__(self, request: Request) -> Response:
        if is_cross_site(request.headers):
            return plain(HTTPStatus.FORBIDDEN, "not for pages of other sites")
        return self.handler(request)


class Routes:
    """A handler that gives each path to a handler of its own, and answers other paths with links to these."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)
        shown = sorted(path for path, handler in handlers.items() if "GET" in methods_of(handler, path))
        items = "\n".join(f'<li><a href="{escape(quote(path))}">{escape(path)}</a>' for path in shown)
        self._not_found = Response(
            HTTPStatus.NOT_FOUND.value,
            _PAGE.format(items=items).encode(),
            "text/html; charset=utf-8",
            (("Content-Security-Policy", "default-src 'none'"),),
        )

    def methods(self, path: str) -> Sequence[str]:
        """What is allowed for a path."""
        handler = self._handlers.get(path)
        return READING if handler is None else methods_of(handler, path)

    def __call__(self, request: Request) -> Response:
        handler = self._handlers.get(request.path)
        return handler(request) if handler else self._not_found


def healthy(request: Request) -> Response:
    """The handler of ``/healthz``: whoever gets this answer knows that the process answers."""
    return plain(HTTPStatus.OK, f"alive at {time.time():.0f}")
