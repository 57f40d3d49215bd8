"""PromQL held against the catalogue: does it parse, and does it name only what there is?"""

from collections.abc import Iterator
from typing import TypeVar

import promql_parser
from promql_parser import AggregateExpr, Matcher, MatchOp, VectorSelector

from natobs.catalogue import naming, values
from natobs.catalogue.promql import TARGET_LABELS, Recorded, Source, series
from natobs.catalogue.types import Kind, Metric, metrics_of
from natobs.errors import CatalogueError
from natobs.generate.metric_reference import modules

_RECORDED = [
    *(value.recorded for value in values.ALL),
    *(one for one in vars(naming).values() if isinstance(one, Recorded)),
    *naming.ERROR_RATIO.values(),
]


def _sources() -> dict[str, tuple[Source, str]]:
    """Name of a series to what it is of, and to which part of a histogram."""
    found: dict[str, tuple[Source, str]] = {recorded.name: (recorded, "") for recorded in _RECORDED}
    for metric in (metric for module in modules() for metric in metrics_of(module)):
        parts = ("_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {metric.name + part: (metric, part) for part in parts}
    return found


SOURCES = _sources()


def problem(query: str) -> str:
    """What is wrong with an expression; nothing if it is as it should be."""
    try:
        tree = promql_parser.parse(query)
    except ValueError as error:
        return f"{query}: {error}"
    selectors = list(_nodes(tree, VectorSelector))
    if not selectors:
        return f"{query}: selects nothing"
    for selector in selectors:
        if selector.name not in SOURCES:
            return f"{query}: there is no {selector.name}"
        source, part = SOURCES[selector.name]
        for matcher in selector.matchers.matchers:
            try:
                _select(source, part, matcher)
            except CatalogueError as error:
                return f"{query}: {error}"
    there = {"le", *TARGET_LABELS, *(label for one in selectors for label in _labels(SOURCES[one.name or ""][0]))}
    for aggregate in _nodes(tree, AggregateExpr):
        if aggregate.modifier is not None and (unknown := {*aggregate.modifier.labels} - there):
            return f"{query}: none of its series has a label {', '.join(sorted(unknown))}"
    return ""


def selected(query: str) -> set[str]:
    """The names of the series that an expression selects."""
    return {selector.name or "" for selector in _nodes(promql_parser.parse(query), VectorSelector)}


def _select(source: Source, part: str, matcher: Matcher) -> None:
    signs = ((MatchOp.Equal, ""), (MatchOp.NotEqual, "!"), (MatchOp.Re, "~"), (MatchOp.NotRe, "!~"))  # no hash
    sign = next(sign for operator, sign in signs if operator == matcher.op)
    matchers: dict[str, str] = {matcher.name: f"{sign}{matcher.value}"}
    series(source, part, offset=0, **matchers)


def _labels(source: Source) -> tuple[str, ...]:
    return source.label_names if isinstance(source, Metric) else source.labels


Node = TypeVar("Node")


def _nodes(tree: object, kind: type[Node]) -> Iterator[Node]:
    if isinstance(tree, kind):
        yield tree
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "args"):
        inner = getattr(tree, name, None)
        for one in inner if isinstance(inner, list) else [inner]:
            if one is not None:
                yield from _nodes(one, kind)
