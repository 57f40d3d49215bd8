"""The page of probes: what became of each target, the failing ones first, and which public addresses were seen.

Plain HTML that refreshes itself, without script. Knows how outcomes look to a
person, here and in the section of an agent's page; refuses to judge them
against objectives: that is for rules.
"""

import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from http import HTTPStatus

from natobs import __version__
from natobs.exposition.humanize import amount, span
from natobs.exposition.messages import Request, Response
from natobs.exposition.page_style import STYLE
from natobs.exposition.selfcheck import PREFIX as SELF_CHECK
from natobs.probes.added import AddedRow
from natobs.probes.history import Row
from natobs.probes.model import Attempt, Clock
from natobs.probes.service import ProbeService
from natobs.probes.stats import Overview

_REFRESH_SECONDS = 5
_MOST_ROWS = 200
_SECTION_ROWS = 6
_SHOWN_ADDRESSES = 16
_HEADERS = (("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"), ("Cache-Control", "no-store"))
_LEGEND = "First try: first attempts of the last hour that succeeded at once. Round trip: the median of the latest 60."
_ADDRESSES_LEGEND = "How often each was seen in the latest 32 observations."
_ADDED_LEGEND = (
    "Round trip through the NAT less the round trip to the same target without it, measured one after the other: the "
    "median of the latest pairs, and the interval that holds the true one in 95 of 100 cases."
)
_STOPPED = '<span class="unknown">NOT PROBING</span>'
_HEAD = (
    '<tr class="dim"><td>target</td><td>latest attempt</td>'
    '<td class="number">first try</td><td class="number">round trip</td></tr>'
)


class ProbePage:
    """The handler of the page.

    Args:
        service: the probes.
        note: what a person has to know first.
        up: where the page of the agent is that has them run; empty where there is none.
    """

    def __init__(self, service: ProbeService, note: str = "", up: str = "") -> None:
        self._service = service
        self._note = note
        self._up = up

    def __call__(self, request: Request) -> Response:
        """Answer with the page."""
        body = "".join(self._html()).encode("utf-8", "replace")
        return Response(HTTPStatus.OK.value, body, "text/html; charset=utf-8", _HEADERS)

    def _html(self) -> Iterator[str]:
        service, now = self._service, time.time()
        overview = service.stats.overview(_MOST_ROWS)
        host = escape(platform.node())
        state = "" if service.running else f" · {_STOPPED}"
        yield (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Probes from {host} · natobs</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
            f'<header><h1>Probes from {host}</h1><span class="dim">natobs {__version__} · {_counted(overview)}, '
            f"{service.in_flight} attempts under way{state} · "
            f"{time.strftime('%H:%M:%S %Z', time.localtime(now))}</span></header>"
        )
        if self._note:
            yield f'<p class="question">{escape(self._note)}</p>'
        yield f'<section><h2>Targets</h2><p class="question">{_LEGEND}</p>{_share(overview)}'
        yield from _targets(overview, now)
        if rest := _rest(overview):
            yield f'<p class="dim">{rest}</p>'
        yield "</section>"
        yield from _added(service)
        yield from _addresses(service)
        up = f'<a href="{escape(self._up)}">agent</a> · ' if self._up else ""
        yield (
            f'<footer>{up}<a href="metrics">metrics</a> · <a href="healthz">healthz</a> · '
            f'<a href="readyz">readyz</a> · refreshed every {_REFRESH_SECONDS} s</footer></body></html>'
        )


def section(service: ProbeService, note: str, link: str) -> Iterator[str]:
    """The probes on the page of the agent that has them run.

    Args:
        service: the probes.
        note: what a person has to know first.
        link: where the whole page is.
    """
    overview = service.stats.overview(_SECTION_ROWS)
    state = "" if service.running else f" {_STOPPED}"
    yield (
        f'<section class="probes"><h2>Probes<span class="dim">{_counted(overview)}{state}</span></h2>'
        f'<p class="question">{escape(note)}</p>{_share(overview)}'
    )
    yield from _targets(overview, time.time())
    seen: Counter[str] = Counter()
    for _labels, found in service.stats.addresses():
        seen.update(dict(found))
    if seen:
        listed = _listed(seen.most_common())
        yield f'<p>Public addresses seen: {listed} <span class="dim">{_ADDRESSES_LEGEND}</span></p>'
    rest = _rest(overview)
    yield f'<p><a href="{escape(link)}">The probes in full</a>{f", {rest}" if rest else ""}</p></section>'


def _counted(overview: Overview) -> str:
    return f"{overview.targets} target{'s' if overview.targets != 1 else ''}, {overview.failing} failing"


def _share(overview: Overview) -> str:
    """First attempts of the last hour at all targets together."""
    if not overview.tried:
        return ""
    share = overview.succeeded / overview.tried
    return (
        f'<div class="now">{amount(share, "ratio")} <span class="of">{overview.succeeded} of {overview.tried} first '
        f'attempts of the last hour succeeded at once</span></div><meter max="1" value="{share:.4f}"></meter>'
    )


def _targets(overview: Overview, now: float) -> Iterator[str]:
    yield f'<table class="targets">{_HEAD}'
    for row in overview.rows:
        yield _row(row, now)
    yield "</table>"


def _rest(overview: Overview) -> str:
    """What is not shown."""
    if overview.targets <= len(overview.rows):
        return ""
    failing = sum(row.latest is not None and not row.latest.outcome.success for row in overview.rows)
    return f"{overview.targets - len(overview.rows)} more, {overview.failing - failing} of them failing"


def _row(row: Row, now: float) -> str:
    settings, latest = row.target.settings, row.latest
    star = ' <span title="critical">★</span>' if settings.critical and not settings.access else ""
    access = settings.access and not settings.name.startswith(SELF_CHECK)
    probe = f"{settings.name} {settings.kind}{' · access, the NAT itself' if access else ''}"
    detail = latest.outcome.detail if latest else ""
    seen = f"seen as {row.address}" if row.address else ""
    remarks = "; ".join(filter(None, (detail, seen, _ago(latest, now))))
    share = amount(row.succeeded / row.tried, "ratio") if row.tried else ""
    tried = f"{row.succeeded} of {row.tried}" if row.tried else ""
    median = "" if row.median_rtt is None else span(row.median_rtt)
    return (
        f'<tr><th>{escape(row.target.name)}{star}<div class="dim">{escape(probe)}</div></th>'
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


def _added(service: ProbeService) -> Iterator[str]:
    found = service.stats.added()
    if not found:
        return
    yield "<section><h2>Time that the NAT adds</h2>"
    yield f'<p class="question">{_ADDED_LEGEND}</p><table>'
    for row in found[:_MOST_ROWS]:
        probe, kind, target = row.labels
        yield (
            f'<tr><th>{escape(probe)} <span class="dim">{kind}</span></th><td>{escape(target)}</td>'
            f"<td>{_difference(row)}"
            f'<div class="why dim">{escape(f"latest pair: {row.trouble}") if row.trouble else ""}</div></td></tr>'
        )
    yield "</table></section>"


def _difference(row: AddedRow) -> str:
    """The paired difference in words."""
    found, limit = row.difference, span(row.compare.limit_seconds)
    if found is None:
        return f'<span class="dim">no pair in the last {span(row.compare.window_seconds)}</span>'
    pairs = f"{found.pairs} pair{'s' if found.pairs > 1 else ''} of the last {span(row.compare.window_seconds)}"
    if found.low is None or found.high is None:
        return f'{span(found.median)} <span class="dim">from {pairs}: too few for an interval</span>'
    low, high = span(found.low), span(found.high)
    if found.low > row.compare.limit_seconds:
        verdict = f'<span class="unknown">above the limit of {limit}</span>'
    else:
        verdict = f"{'below' if found.high <= row.compare.limit_seconds else 'maybe above'} the limit of {limit}"
    return f'{span(found.median)}, {verdict} <span class="dim">between {low} and {high} (95 %), from {pairs}</span>'


def _addresses(service: ProbeService) -> Iterator[str]:
    found = service.stats.addresses()
    if not found:
        return
    yield "<section><h2>Public addresses seen</h2>"
    yield f'<p class="question">{_ADDRESSES_LEGEND}</p><table>'
    for (probe, kind, target), seen in found[:_MOST_ROWS]:
        yield (
            f'<tr><th>{escape(probe)} <span class="dim">{kind}</span></th><td>{escape(target)}</td>'
            f"<td>{_listed(seen)}</td></tr>"
        )
    yield "</table></section>"


def _listed(seen: Sequence[tuple[str, int]]) -> str:
    """The commonest addresses, with their numbers."""
    listed = ", ".join(f"{escape(address)} ({count})" for address, count in seen[:_SHOWN_ADDRESSES])
    return f"{listed}{f' and {len(seen) - _SHOWN_ADDRESSES} more' if len(seen) > _SHOWN_ADDRESSES else ''}"
