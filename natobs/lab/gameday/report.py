"""The report of a game day: a table for a terminal, and a page that needs nothing but a browser.

Knows outcomes; refuses to know how they came about.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from natobs.lab.gameday.model import Expected, Notice, Outcome
from natobs.lab.gameday.sparkline import svg

HEADER = ("fault", "mode", "expected", "metric", "firing", "pager", "over", "false", "node_exporter", "")
"""Of the table; times are in seconds."""

_LEGEND = (
    '<p class="small">Pictures show the value that an alert compares; dashed is its threshold. Lines: the fault began '
    '(<b class="bad">red</b>), the alert reached the pager (<b class="told">orange</b>), the fault was healed '
    '(<b class="good">green</b>).</p>'
)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b2430 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #d8dee6; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: #b3261e; font-weight: 600 } .good { color: #1c7a3e; font-weight: 600 } .told { color: #c77700 }
.small { font-size: .85rem }
section table { width: auto }
section { margin-top: 2.5rem } figure { margin: 1rem 0; max-width: 26rem } figcaption { font-size: .85rem }
svg { width: 100%; background: #f5f7fa } polyline { fill: none; stroke: #23599b; stroke-width: 1.5 }
line.limit { stroke: #b3261e; stroke-dasharray: 4 3 } line.broken { stroke: #b3261e } line.healed { stroke: #1c7a3e }
line.told { stroke: #c77700 } code { background: #f0f2f5; padding: 0 .2rem }
"""


def rows(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, ...]]:
    """Rows of the table under :data:`HEADER`: one for each alert that was expected, or one for silence."""
    for outcome in outcomes:
        verdict = "passed" if outcome.passed else "FAILED"
        peer = ", ".join(f"{one.alert} {one.seconds:.0f}" for one in outcome.peer[:1]) or "-"
        false = ", ".join(sorted({one.alert for one in outcome.false})) or "-"
        for place, one in enumerate(outcome.expected or [None]):
            head = (outcome.fault, outcome.mode) if place == 0 else ("", "")
            tail = (false, peer, verdict) if place == 0 else ("", "", "")
            yield (*head, *_steps(one), *tail)


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line: how many faults raised exactly what they must, and what their peer saw."""
    passed = sum(outcome.passed for outcome in outcomes)
    missing = sum(len(outcome.missing) for outcome in outcomes)
    false = sum(len(outcome.false) for outcome in outcomes)
    peer = sum(bool(outcome.peer) for outcome in outcomes)
    return (
        f"{len(outcomes)} faults, {passed} raised exactly what they must; {missing} alerts missing, {false} false; "
        f"node_exporter's rules fired for {peer}"
    )


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole report as one HTML file without anything from elsewhere."""
    scale = outcomes[0].time_scale if outcomes else 1
    body = [
        f"<h1>Game day</h1><p>{escape(summary(outcomes))}. Time scale {scale:g}; times are in seconds.</p>",
        _table(HEADER, list(rows(outcomes))),
        _LEGEND,
        *(_section(outcome) for outcome in outcomes),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Game day</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _steps(one: Expected | None) -> tuple[str, ...]:
    if one is None:
        return ("silence", "-", "-", "-", "-")
    name = f"{one.alert} ({one.action})"
    told = _seconds(one.notified, "missing") + (f" ({one.begins} times)" if one.begins > 1 else "")
    return (name, *map(_seconds, (one.metric, one.firing)), told, _seconds(one.resolved))


def _seconds(value: float | None, absent: str = "-") -> str:
    return absent if value is None else f"{value:.1f}"


def _section(outcome: Outcome) -> str:
    kind = "good" if outcome.passed else "bad"
    verdict = "raised exactly what it must" if outcome.passed else "did not go as it must"
    told = [one.notified for one in outcome.expected if one.notified is not None]
    marks = [(0.0, "broken"), (outcome.healed, "healed"), *((at, "told") for at in told)]
    figures = "".join(
        f"<figure>{svg(trace.points, trace.threshold, marks, trace.title)}<figcaption>{escape(trace.title)} "
        f"{escape(_labels(trace.labels))}, at most {max(v for _, v in trace.points):.4g}</figcaption></figure>"
        for trace in outcome.traces
        if trace.points
    )
    facts = [
        (name, "-" if before is None else f"{before:g}", f"{now:g}") for name, (before, now) in outcome.evidence.items()
    ]
    return (
        f'<section id="{escape(outcome.fault)}"><h2>{escape(outcome.title)}</h2>'
        f"<p><code>{escape(outcome.fault)}</code> {escape(outcome.mode)}: {escape(outcome.sentence)} "
        f'<span class="{kind}">{verdict}</span></p>{figures}'
        f"{_list('False', outcome.false)}"
        f"{_budgets(outcome.budgets)}{_list('By the rules of node_exporter', outcome.peer)}"
        f"{_table(('fact of the kernel', 'before', 'during'), facts)}</section>"
    )


def _budgets(notices: Sequence[Notice]) -> str:
    """Which budgets were told of, each kind once: there is one for each target and subnet."""
    if not notices:
        return ""
    kinds = Counter(one.alert for one in notices)
    told = ", ".join(f"{escape(name)} ({number})" for name, number in sorted(kinds.items()))
    return f"<p>Notices and tickets on error budgets: {told}.</p>"


def _list(title: str, notices: Sequence[Notice]) -> str:
    if not notices:
        return ""
    items = "".join(
        f"<li>{escape(one.alert)} {escape(_labels(one.labels))} after {one.seconds:.1f}</li>" for one in notices
    )
    return f"<p>{title}:</p><ul>{items}</ul>"


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in header)
    body = "".join(f"<tr>{''.join(_cell(word) for word in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(word: str) -> str:
    kind = {"passed": "good", "FAILED": "bad", "missing": "bad"}.get(word, "")
    kind = kind or ("number" if word.replace(".", "", 1).isdigit() else "")
    return f'<td class="{kind}">{escape(word)}</td>' if kind else f"<td>{escape(word)}</td>"
