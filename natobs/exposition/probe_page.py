"""The prober's page: what became of each target, the failing ones first, and which public addresses were seen.

Plain HTML that refreshes itself, without script. Knows how outcomes look to a
person; refuses to judge them against objectives: that is for rules.
"""

import platform
import time
from collections.abc import Iterator
from html import escape
from http import HTTPStatus

from natobs import __version__
from natobs.exposition.humanize import amount, span
from natobs.exposition.messages import Request, Response
from natobs.exposition.page_style import STYLE
from natobs.probes.history import Row
from natobs.probes.model import Attempt, Clock
from natobs.probes.service import ProbeService

_REFRESH_SECONDS = 5
_MOST_ROWS = 200
_SHOWN_ADDRESSES = 16
_HEADERS = (("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"), ("Cache-Control", "no-store"))
_LEGEND = "First try: first attempts of the last hour that succeeded at once. Round trip: the median of the latest 60."
_HEAD = (
    '<tr class="dim"><td>target</td><td>latest attempt</td>'
    '<td class="number">first try</td><td class="number">round trip</td></tr>'
)


class ProbePage:
    """The handler of ``/``."""

    def __init__(self, service: ProbeService) -> None:
        self._service = service

    def __call__(self, request: Request) -> Response:
        """Answer with the page."""
        body = "".join(self._html()).encode("utf-8", "replace")
        return Response(HTTPStatus.OK.value, body, "text/html; charset=utf-8", _HEADERS)

    def _html(self) -> Iterator[str]:
        service, now = self._service, time.time()
        overview = service.stats.overview(_MOST_ROWS)
        host = escape(platform.node())
        state = "" if service.running else ' · <span class="unknown">NOT PROBING</span>'
        yield (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Probes from {host} · natobs</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
            f'<header><h1>Probes from {host}</h1><span class="dim">natobs {__version__} · {overview.targets} targets, '
            f"{overview.failing} failing, {service.in_flight} attempts under way{state} · "
            f"{time.strftime('%H:%M:%S %Z', time.localtime(now))}</span></header>"
        )
        yield f"<section><h2>Targets</h2><p class='question'>{_LEGEND}</p><table>{_HEAD}"
        for row in overview.rows:
            yield _row(row, now)
        yield "</table>"
        if overview.targets > len(overview.rows):
            failing = sum(row.latest is not None and not row.latest.outcome.success for row in overview.rows)
            yield (
                f'<p class="dim">{overview.targets - len(overview.rows)} more, '
                f"{overview.failing - failing} of them failing</p>"
            )
        yield "</section>"
        yield from _addresses(service)
        yield (
            '<footer><a href="metrics">metrics</a> · <a href="healthz">healthz</a> · '
            f'<a href="readyz">readyz</a> · refreshed every {_REFRESH_SECONDS} s</footer></body></html>'
        )


def _row(row: Row, now: float) -> str:
    settings, latest = row.target.settings, row.latest
    star = ' <span title="critical">★</span>' if settings.critical else ""
    detail = latest.outcome.detail if latest else ""
    seen = f"seen as {row.address}" if row.address else ""
    remarks = "; ".join(filter(None, (detail, seen, _ago(latest, now))))
    share = amount(row.succeeded / row.tried, "ratio") if row.tried else ""
    tried = f"{row.succeeded} of {row.tried}" if row.tried else ""
    median = "" if row.median_rtt is None else span(row.median_rtt)
    return (
        f'<tr><th>{escape(row.target.name)}{star}<div class="dim">{escape(settings.name)} {settings.kind}</div></th>'
        f'<td>{_state(latest)}<div class="why dim">{escape(remarks)}</div></td>'
        f'<td class="number">{share}<div class="dim">{tried}</div></td>'
        f'<td class="number">{median}<div class="dim">{_clock(latest)}</div></td></tr>'
    )


def _state(latest: Attempt | None) -> str:
    if latest is None:
        return '<span class="dim">not yet</span>'
    reason = latest.outcome.reason
    retry = f" at retry {latest.number}" if latest.number else ""
    return f"good{retry}" if reason is None else f'<span class="unknown">{reason.value}</span>{retry}'


def _clock(latest: Attempt | None) -> str:
    """A word on round trips that contain the program's own waiting."""
    rough = latest is not None and latest.outcome.clock is Clock.USERSPACE
    return "by the program's clock" if rough else ""


def _ago(latest: Attempt | None, now: float) -> str:
    if latest is None:
        return ""
    seconds = max(0.0, now - latest.started - latest.seconds)
    return f"{span(round(seconds))} ago" if seconds >= 1 else "now"


def _addresses(service: ProbeService) -> Iterator[str]:
    found = service.stats.addresses()
    if not found:
        return
    yield "<section><h2>Public addresses seen</h2>"
    yield '<p class="question">How often each was seen in the latest 32 observations.</p><table>'
    for (probe, kind, target), seen in found[:_MOST_ROWS]:
        listed = ", ".join(f"{escape(address)} ({count})" for address, count in seen[:_SHOWN_ADDRESSES])
        rest = f" and {len(seen) - _SHOWN_ADDRESSES} more" if len(seen) > _SHOWN_ADDRESSES else ""
        yield (
            f'<tr><th>{escape(probe)} <span class="dim">{kind}</span></th><td>{escape(target)}</td>'
            f"<td>{listed}{rest}</td></tr>"
        )
    yield "</table></section>"
