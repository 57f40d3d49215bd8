"""Paths to handlers, and the page for a path that leads nowhere.

Knows paths. Refuses to know what is behind them.
"""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from urllib.parse import quote

from natobs.exposition.messages import Handler, Request, Response

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>natobs: no such page</title>
<h1>No such page</h1>
<p>This agent serves:
<ul>
{items}
</ul>
"""


class Routes:
    """A handler that gives each path to a handler of its own, and answers other paths with links to these."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)
        items = "\n".join(f'<li><a href="{escape(quote(path))}">{escape(path)}</a>' for path in sorted(handlers))
        self._not_found = Response(
            HTTPStatus.NOT_FOUND.value,
            _PAGE.format(items=items).encode(),
            "text/html; charset=utf-8",
            (("Content-Security-Policy", "default-src 'none'"),),
        )

    def __call__(self, request: Request) -> Response:
        handler = self._handlers.get(request.path)
        return handler(request) if handler else self._not_found
