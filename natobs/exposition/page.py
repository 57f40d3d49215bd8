"""The status page: for each SLI the values that it is computed from, or UNKNOWN and why.

Plain HTML that refreshes itself, with one style sheet inside and no script, so
that it reads on a phone over a slow tunnel. Knows how values look to a person;
refuses to judge them: thresholds are for alerts.
"""

import platform
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from http import HTTPStatus
from itertools import groupby

from natobs import __version__
from natobs.catalogue.slis import ALL as SLIS
from natobs.catalogue.slis import Sli
from natobs.catalogue.types import HistogramSample, Kind, Metric, Sample
from natobs.collectors.base import Gap, Outcome, Telling
from natobs.collectors.observer import Observer
from natobs.collectors.runner import Snapshot
from natobs.exposition.agent_probes import AgentProbes
from natobs.exposition.humanize import amount, span
from natobs.exposition.messages import Request, Response
from natobs.exposition.page_style import STYLE
from natobs.exposition.page_values import Share, Values
from natobs.exposition.quantile import quantile

_REFRESH_SECONDS = 5
_FRESH_SECONDS = 1.0
"""A younger round is shown again instead of starting another: a crowd at the page costs what one person does."""
_RATE_SECONDS = 4.0
"""Rates span at least this long, so that they do not jump when two people look at once."""
_REMEMBERED_ROUNDS = 6
"""At one a second, enough to find one that is _RATE_SECONDS old."""
_SHOWN_SERIES = 6
"""Series of a metric that are shown at once; the others are folded away."""
_HEADERS = (("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"), ("Cache-Control", "no-store"))


class Page:
    """The handler of ``/``: looks at most once a second, however many people watch.

    Args:
        observer: gives rounds.
        probes: of the agent; without any the page is silent about them.
    """

    def __init__(self, observer: Observer, probes: AgentProbes | None = None) -> None:
        self._observer = observer
        self._probes = probes or AgentProbes(None)
        self._lock = threading.Lock()
        self._rounds: deque[Snapshot] = deque(maxlen=_REMEMBERED_ROUNDS)

    def __call__(self, request: Request) -> Response:
        """Answer with the page."""
        latest, base = self._look(request.deadline)
        body = "".join(self._html(latest, base)).encode("utf-8", "replace")
        return Response(HTTPStatus.OK.value, body, "text/html; charset=utf-8", _HEADERS)

    def _look(self, limit: float) -> tuple[Snapshot, Snapshot | None]:
        """The latest round, and the earlier one that rates are computed against."""
        with self._lock:
            rounds = list(self._rounds)
        # Below zero when the clock has been set back meanwhile.
        if not rounds or not 0 <= time.time() - rounds[-1].time <= _FRESH_SECONDS:
            rounds.append(self._observer.collect(limit))
            with self._lock:
                if not self._rounds or self._rounds[-1].number < rounds[-1].number:
                    self._rounds.append(rounds[-1])
        latest = rounds.pop()
        old_enough = [earlier for earlier in rounds if latest.time - earlier.time >= _RATE_SECONDS]
        base = old_enough[-1] if old_enough else next(iter(rounds), None)
        return latest, base

    def _html(self, latest: Snapshot, base: Snapshot | None) -> Iterator[str]:
        values = Values(latest, base)
        host = escape(platform.node())
        yield (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{host} · natobs</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}"><style>{STYLE}</style></head><body>'
            f'<header><h1>{host}</h1><span class="dim">natobs {__version__} · Linux {escape(platform.release())} · '
            f"read at {time.strftime('%H:%M:%S %Z', time.localtime(latest.time))}</span></header>"
        )
        if not self._probes.self_check:
            yield from self._probes.section()
        yield "<main>"
        sources = {metric: c.name for c in self._observer.collectors for metric in c.metrics}
        for sli in SLIS:
            yield from _sli(sli, values, sources)
        yield "</main>"
        if self._probes.self_check:  # tells nothing of the network: it comes after what does
            yield from self._probes.section()
        yield from _collectors(latest.outcomes)
        for collector in self._observer.collectors:
            if isinstance(collector, Telling):
                yield from _lines(collector.title, collector.tail())
        yield (
            '<footer><a href="metrics">metrics</a> · <a href="healthz">healthz</a> · '
            f'<a href="readyz">readyz</a> · refreshed every {_REFRESH_SECONDS} s</footer></body></html>'
        )


def _sli(sli: Sli, values: Values, sources: dict[Metric, str]) -> Iterator[str]:
    yield (
        f'<section><h2><span class="id">{sli.id}</span>{escape(sli.title)}</h2>'
        f'<p class="question">{escape(sli.question)} Target: {escape(sli.target)}.</p>'
    )
    if sli.ratio:
        share = values.ratio(sli.ratio)
        if share is not None:
            yield f'<div class="now">{amount(share, "ratio")}</div><meter max="1" value="{share:.4f}"></meter>'
    if sli.missing:
        yield f'<p class="why"><span class="unknown">UNKNOWN</span> {escape(sli.missing)}</p>'
    if sli.note:
        yield f'<p class="why dim">{escape(sli.note)}</p>'
    shares = values.shares(sli.shares) if sli.shares else []
    if sli.inputs:
        yield "<table>"
        if sli.shares and shares:
            yield from _shares(sli.shares, shares)
        for metric in sli.inputs:
            if not (shares and sli.shares and metric in sli.shares):
                yield from _metric(metric, values, sources)
        yield "</table>"
    yield "</section>"


def _shares(pair: tuple[Metric, Metric], shares: Sequence[Share]) -> Iterator[str]:
    """A row for each label set: the share, and of how many; those without anything are left out."""
    yield f'<tr><th colspan="3">{escape(_short(pair[0]))} of {escape(_short(pair[1]))}</th></tr>'
    rows = [
        f'<tr class="of"><th>{_labels(share.sample)}</th>'
        f'<td class="number">{amount(min(1.0, share.part / share.whole), "ratio")}</td>'
        f'<td class="number">of {amount(share.whole)}{"" if share.recent else " in all"}</td></tr>'
        for share in shares
        if share.whole
    ]
    yield from _folded(rows or ['<tr class="of"><td colspan="3" class="dim">nothing yet</td></tr>'])


def _metric(metric: Metric, values: Values, sources: dict[Metric, str]) -> Iterator[str]:
    samples = values.of(metric)
    name = f'<span title="{escape(metric.help)}">{escape(_short(metric))}</span>'
    distributions = values.distributions_of(metric)
    yield from (_distribution(name, distribution) for distribution in distributions)
    if not samples and not distributions:
        why = _why(sources.get(metric), values.outcomes)
        yield (
            f'<tr><th>{name}</th><td class="number unknown">UNKNOWN</td><td></td></tr>'
            f'<tr class="of"><td colspan="3" class="why dim">{escape(why)}</td></tr>'
        )
    if not samples:
        return
    if len(samples) == 1:
        yield _row(f'{name} <span class="dim">{_labels(samples[0])}</span>', samples[0], values)
        return
    yield f'<tr><th colspan="3">{name}</th></tr>'
    busiest_first = sorted(samples, key=lambda sample: -(values.rate(sample) or 0.0))
    rows = [_row(_labels(sample), sample, values, "of") for sample in busiest_first]
    yield from _folded(rows)


def _folded(rows: Sequence[str]) -> Iterator[str]:
    """The first rows, and the others behind a click."""
    yield from rows[:_SHOWN_SERIES]
    if len(rows) > _SHOWN_SERIES:
        rest = "".join(rows[_SHOWN_SERIES:])
        yield (
            f'<tr class="of"><td colspan="3"><details><summary>{len(rows) - _SHOWN_SERIES} more</summary>'
            f"<table>{rest}</table></details></td></tr>"
        )


def _row(name: str, sample: Sample, values: Values, kind: str = "") -> str:
    rate = values.rate(sample)
    return (
        f'<tr class="{kind}"><th>{name}</th><td class="number">{_value(sample)}</td>'
        f'<td class="number">{"" if rate is None else _per_second(sample.metric, rate)}</td></tr>'
    )


def _distribution(name: str, sample: HistogramSample) -> str:
    """Median and 99th percentile since the agent started, and of how many values."""
    labels = " ".join(escape(label) for label in sample.labels)
    middle, high = quantile(sample, 0.5), quantile(sample, 0.99)
    unit = _unit(sample.metric)
    shown = "nothing yet" if middle is None or high is None else f"{amount(middle, unit)}, p99 {amount(high, unit)}"
    return (
        f'<tr><th>{name} <span class="dim">{labels}</span></th>'
        f'<td class="number">{shown}</td><td class="number">of {amount(sum(sample.value.counts))}</td></tr>'
    )


def _labels(sample: Sample) -> str:
    """The values of the labels; a bare number says what it counts."""
    pairs = zip(sample.metric.label_names, sample.labels, strict=False)
    return " ".join(escape(f"{name} {value}" if value.isdigit() else value) for name, value in pairs)


def _value(sample: Sample) -> str:
    metric = sample.metric
    if metric.kind is Kind.INFO:
        return "·"
    if metric.family.endswith(("_time_seconds", "_timestamp_seconds")):
        ago = time.time() - sample.value
        return f"{span(ago)} ago" if ago >= 0 else f"in {span(-ago)}"
    if metric.name.endswith("_per_second"):
        return f"{amount(sample.value, _unit(metric))}/s"
    return amount(sample.value, _unit(metric))


def _per_second(metric: Metric, rate: float) -> str:
    """A rate; seconds in a second are a share."""
    return amount(rate, "ratio") if _unit(metric) == "seconds" else f"{amount(rate, _unit(metric))}/s"


def _unit(metric: Metric) -> str:
    """The unit of the value itself: a counter has it before ``_total``, a peak before ``_per_second``."""
    words = metric.family.removesuffix("_per_second").split("_")
    return words[-1] if words[-1] in {"bytes", "seconds", "ratio"} else ""


def _short(metric: Metric) -> str:
    """The name without what stands beside it anyway: the project's prefix, and the unit of a rate."""
    return metric.family.removeprefix("natobs_").removesuffix("_per_second").replace("_", " ")


def _why(source: str | None, outcomes: dict[str, Outcome]) -> str:
    outcome = outcomes.get(source or "")
    if source is None or outcome is None:
        return "its collector is disabled"
    if outcome.gaps:
        return "; ".join(_sentence(gap) for gap in outcome.gaps)
    return f"the collector {source} found no value for it on this machine"


def _sentence(gap: Gap) -> str:
    return f"{gap.reason}: {gap.detail}"


def _collectors(outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield "<section><h2>Collectors</h2><table>"
    for outcome in outcomes:
        nothing = bool(outcome.gaps) and not outcome.samples and outcome.success
        state = "nothing here" if nothing else "good" if outcome.success else '<span class="unknown">incomplete</span>'
        yield (
            f"<tr><th>{escape(outcome.collector)}</th><td>{state}</td>"
            f'<td class="number">{len(outcome.samples) + len(outcome.distributions)} values</td>'
            f'<td class="number">{span(outcome.seconds)}</td></tr>'
        )
        for gap in outcome.gaps:
            yield f'<tr class="of"><td colspan="4" class="why dim">{escape(_sentence(gap))}</td></tr>'
    yield "</table></section>"


def _lines(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f'<section><h2>{escape(title)}</h2><ol class="log">'
    for line, same in groupby(reversed(lines)):
        times = len(list(same))
        yield f"<li>{escape(line)}{f' <b>&times;{times}</b>' if times > 1 else ''}</li>"
    yield "</ol>" if lines else '</ol><p class="dim">nothing so far</p>'
    yield "</section>"
