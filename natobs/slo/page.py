"""A page that shows how error budgets stand, for whoever has no Grafana at hand.

Plain HTML without a script, as the agent's own page. Asks Prometheus at most once
in ten seconds, however many people look; what is not known is called so.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from html import escape
from http import HTTPStatus

from natobs import __version__
from natobs.errors import MonitoringError
from natobs.exposition.messages import Request, Response
from natobs.exposition.page_style import STYLE
from natobs.slo.status import Standing, State
from natobs.slo.wording import burn, share, whose

_REFRESH_SECONDS = 15
_FRESH_SECONDS = 10.0
_SHOWN_GROUPS = 50
"""Of an objective; the worst come first."""
_HEADERS = (("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"), ("Cache-Control", "no-store"))
_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>error budgets · natobs</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
)
_NUMBERS = "".join(f'<th style="text-align: right">{word}</th>' for word in ("left", "errors", "burns now"))
_TABLE = f"<table><tr><th>whose</th>{_NUMBERS}</tr>"

Look = Callable[[], Sequence[Standing]]
"""Asks how objectives stand; may raise MonitoringError."""


class BudgetPage:
    """The handler of ``/``.

    Args:
        look: asks how objectives stand.
        title: of what they are asked.
        clock: seconds, for tests.
    """

    def __init__(self, look: Look, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._title, self._clock = look, title, clock
        self._lock = threading.Lock()
        self._latest: Response | None = None
        self._taken = 0.0

    def __call__(self, request: Request) -> Response:
        """Answer with the page; 503 where Prometheus did not answer."""
        with self._lock:  # one asks, the others wait for what it gets
            now = self._clock()
            if self._latest is None or now - self._taken > _FRESH_SECONDS:
                self._latest, self._taken = self._made(), now
            return self._latest

    def _made(self) -> Response:
        try:
            status, parts = HTTPStatus.OK, list(_standings(self._look()))
        except MonitoringError as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            parts = [f'<p class="why"><span class="unknown">UNKNOWN</span> {escape(str(error))}</p>']
        said = f"natobs {__version__} · {escape(self._title)} · {time.strftime('%H:%M:%S %Z')}"
        head = f'<header><h1>Error budgets of 30 days</h1><span class="dim">{said}</span></header>'
        foot = f'<footer><a href="healthz">healthz</a> · refreshed every {_REFRESH_SECONDS} s</footer></body></html>'
        body = "".join((_HEAD, head, *parts, foot)).encode("utf-8", "replace")
        return Response(status.value, body, "text/html; charset=utf-8", _HEADERS)


def _standings(found: Sequence[Standing]) -> Iterator[str]:
    if not found:
        yield '<p><span class="unknown">UNKNOWN</span> No objective is recorded: are the rules loaded?</p>'
    for one in found:
        target = "" if one.target is None else f" · target {one.target * 100:.10g} %"
        yield f'<section><h2>{escape(one.title or one.id)}<span class="dim">{escape(one.id)}{target}</span></h2>'
        if not one.groups:
            yield '<p class="why"><span class="unknown">NO DATA</span> Not switched on, or nothing has happened.</p>'
        else:
            yield from _groups(one)
        yield "</section>"


def _groups(one: Standing) -> Iterator[str]:
    worst = one.groups[0]
    spent = ' <span class="unknown">SPENT</span>' if one.state is State.SPENT else ""
    left = worst.left or 0.0
    yield f'<div class="now">{share(worst.left)}<span class="of"> left of the worst budget{spent}</span></div>'
    yield f'<meter min="0" max="1" low="0.25" value="{min(1.0, max(0.0, left)):.4f}"></meter>'
    yield _TABLE
    for group in one.groups[:_SHOWN_GROUPS]:
        cells = (share(group.left), share(group.errors), burn(group.burn))
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        yield f"<tr><th>{escape(whose(group))}</th>{numbers}</tr>"
    yield "</table>"
    hidden = len(one.groups) - _SHOWN_GROUPS
    if hidden > 0:
        yield f'<p class="dim">and {hidden} more, with more left</p>'
    if one.unknown:
        yield f'<p class="why"><span class="unknown">NO DATA</span> of {one.unknown} more</p>'
