"""Every way in which one rule can be wrong in one place.

Works on the text of expressions as the generator writes them, where operands of
binary operators stand in parentheses. Knows PromQL's tokens and no rule by name.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from tests.mutation.corpus import Document, Rule, seconds

_COMPARISON = re.compile(r"(?P<operator>[<>]=?|[!=]=)(?P<bool>\s+bool)?(?=\s)")
_THRESHOLD = re.compile(r"(?:[<>]=?|[!=]=)(?:\s+bool)?\s+(?P<number>-?\d[\d.e+-]*)(?![\w\]])")
_NUMBER = re.compile(r'(?<![\w.\["])(?P<number>\d+(?:\.\d+)?)(?![\w.\]"])')
_WINDOW = re.compile(r"(?:\[|offset )(?P<time>[\dhmsd]+)")
_MATCHER = re.compile(r'(?P<label>\w+)(?P<operator>=~|!~|!=|=)"(?P<value>[^"]*)"(?P<comma>,\s*)?')
_LABELS = re.compile(r"\b(?P<word>by|on|group_left) \((?P<labels>[^)]+)\)")
_ARITHMETIC = re.compile(r"(?m)^\s*(?P<operator>[-+*/])(?=\s)|\s(?P<inner>[-+*/])\s")
_STRICTER = {">": ">=", ">=": ">", "<": "<=", "<=": "<", "==": "!=", "!=": "=="}
_TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": ">", "!=": ">"}
_OTHER = {"+": "-", "-": "+", "*": "/", "/": "*"}
_SHOWN = 60
"""Of what stands before a change, so many characters."""
_LONG = 10
"""Whole numbers below it are counted up and down by one."""


class Mutant(NamedTuple):
    """A rule that is wrong.

    Args:
        kind: what was changed.
        rule: with the change.
        change: the change, for a person.
        behind: what stands before it, for one who looks for the place.
    """

    kind: str
    rule: Rule
    change: str
    behind: str = ""


def mutants(rule: Rule) -> Iterator[Mutant]:
    """All mutants of a rule."""
    text = rule.body["expr"]
    for kind, make in _EXPRESSIONS.items():
        for changed, change in make(text):
            yield Mutant(kind, _with(rule, expr=changed), change, _common(text, changed)[-_SHOWN:])
    if "alert" in rule.body:
        yield from _waits(rule)
    for label, value in rule.body.get("labels", {}).items():
        rest = {key: other for key, other in rule.body["labels"].items() if key != label}
        yield Mutant("label", _with(rule, labels=rest), f"without {label}")
        yield Mutant("label", _with(rule, labels={**rest, label: f"{value}x"}), f"{label}: {value}x")


def _common(one: str, other: str) -> str:
    """With what both begin, in a line."""
    differs = (place for place, (left, right) in enumerate(zip(one, other, strict=False)) if left != right)
    return " ".join(one[: next(differs, len(one))].split())


def _with(rule: Rule, **changes: object) -> Rule:
    body: Document = {key: value for key, value in {**rule.body, **changes}.items() if value is not None}
    return replace(rule, body=body)


def _waits(rule: Rule) -> Iterator[Mutant]:
    for key in ("for", "keep_firing_for"):
        if key not in rule.body:
            yield Mutant(key, _with(rule, **{key: "5m"}), f"{key}: 5m instead of none")
            continue
        given = rule.body[key]
        for factor in (2, 0.5):
            time = _duration(seconds(given) * factor)
            yield Mutant(key, _with(rule, **{key: time}), f"{key}: {time} instead of {given}")


_Changed = Iterator[tuple[str, str]]


def _at(text: str, start: int, end: int, new: str) -> tuple[str, str]:
    old = text[start:end]
    return text[:start] + new + text[end:], f"{' '.join(old.split())} -> {' '.join(new.split()) or 'nothing'}"


def _thresholds(text: str) -> _Changed:
    for match in _THRESHOLD.finditer(text):
        for number in _near(match["number"]):
            yield _at(text, *match.span("number"), number)


def _factors(text: str) -> _Changed:
    compared = {match.start("number") for match in _THRESHOLD.finditer(text)}
    for match in _NUMBER.finditer(text):
        if match.start("number") not in compared:
            for number in _near(match["number"]):
                yield _at(text, *match.span("number"), number)


def _near(written: str) -> tuple[str, str]:
    number = float(written)
    if number.is_integer() and abs(number) < _LONG:
        return f"{number + 1:.0f}", f"{number - 1:.0f}"
    return f"{number * 1.1:.12g}", f"{number * 0.9:.12g}"


def _windows(text: str) -> _Changed:
    for match in _WINDOW.finditer(text):
        for factor in (2, 0.5):
            yield _at(text, *match.span("time"), _duration(seconds(match["time"]) * factor))


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _comparisons(text: str) -> _Changed:
    for match in _COMPARISON.finditer(text):
        for table in (_STRICTER, _TURNED):
            yield _at(text, *match.span("operator"), table[match["operator"]])


def _matchers(text: str) -> _Changed:
    for match in _MATCHER.finditer(text):
        yield _at(text, *match.span(), "")
        opposite = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[match["operator"]]
        yield _at(text, *match.span("operator"), opposite)


def _labels(text: str) -> _Changed:
    for match in _LABELS.finditer(text):
        names = match["labels"].split(", ")
        for name in names:
            left = ", ".join(other for other in names if other != name)
            yield _at(text, *match.span("labels"), left)


def _arithmetic(text: str) -> _Changed:
    for match in _ARITHMETIC.finditer(text):
        part = "operator" if match["operator"] else "inner"
        yield _at(text, *match.span(part), _OTHER[match[part]])


def _operands(text: str, word: str) -> Iterator[tuple[int, int, int, int]]:
    """Begin and end of what stands left and right of each such operator."""
    for match in re.finditer(rf"(?<![\w:])({word})(?![\w:])", text):
        begin, end = _reach(text, match.start(), -1), _reach(text, match.end(), 1)
        yield begin, match.start(), match.end(), end


def _reach(text: str, place: int, step: int) -> int:
    """To where an operand reaches from its operator: to the parenthesis or comma that encloses both."""
    opening, closing = ("(", ")") if step > 0 else (")", "(")
    depth = 0
    while 0 <= (index := place if step > 0 else place - 1) < len(text):
        depth += (text[index] == opening) - (text[index] == closing)
        if depth < 0 or (depth == 0 and text[index] == ","):
            break
        place += step
    return place


def _branches(text: str) -> _Changed:
    for begin, left, right, end in _operands(text, "or"):
        yield text[:begin] + text[right:end] + text[end:], f"without the branch {_short(text[begin:left])}"
        yield text[:left] + text[end:], f"without the branch {_short(text[right:end])}"


def _removed(word: str) -> Callable[[str], _Changed]:
    def make(text: str) -> _Changed:
        for _, left, right, end in _operands(text, word):
            yield text[:left] + text[end:], f"without {word} {_short(text[right:end])}"

    return make


def _short(text: str) -> str:
    return " ".join(text.split())[:80]


_EXPRESSIONS: dict[str, Callable[[str], _Changed]] = {
    "threshold": _thresholds,
    "factor": _factors,
    "window": _windows,
    "comparison": _comparisons,
    "matcher": _matchers,
    "by, on": _labels,
    "arithmetic": _arithmetic,
    "or branch": _branches,
    "unless": _removed("unless"),
    "and": _removed("and"),
}
