"""PromQL made of metrics: expressions refer to rows of the catalogue, so that a misspelt name is an error.

Knows the shape of PromQL, which functions take counters and which take gauges,
and the labels of every series. Knows no metric by name, and does not evaluate.

Three things stand in an expression as place-holders until it is written into a
file (:meth:`Query.text`): durations, which a lab shortens; the labels that tell
NATs apart, to which a fleet may add its own; and what a dashboard adds to every
selector, so that it shows what is chosen in it.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from natobs.catalogue.types import Kind, Metric
from natobs.errors import CatalogueError

_MARK = re.compile(r"«(?:(?P<scope>[a-z]+)|(?P<seconds>[0-9]+)(?P<number>#?)|(?P<origin>[a-z]+)\{(?P<inside>[^»]*)\})»")
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))
_HISTOGRAM_SERIES = ("_bucket", "_count", "_sum")
TARGET_LABELS = frozenset({"nat_cluster", "nat", "subnet", "instance", "job"})
"""What the scrape configuration adds to every series of agents and probers."""


class Scope(Enum):
    """Whose value it is: the labels that stay when series are summed up."""

    CLUSTER = ("nat_cluster",)
    NAT = ("nat_cluster", "nat")
    SUBNET = ("nat_cluster", "nat", "subnet")

    @property
    def mark(self) -> str:
        """Its place-holder in an expression."""
        return f"«{self.name.lower()}»"


class Origin(Enum):
    """Where a series comes from: which of the target's labels it carries."""

    TARGET = "target"  # scraped from an agent or a prober: all of them
    RULE = "rule"  # made by a rule: those that tell NATs apart, as far as its scope has them; no job, no instance
    CONSTANT = "constant"  # none: a rule's constant, or about Prometheus itself


class Span(Enum):
    """A duration that Grafana fills in when it shows a panel."""

    RATE = "$__rate_interval"  # wide enough for a rate at the panel's resolution
    SHOWN = "$__range"  # all that the dashboard shows


Window = int | Span
"""Seconds, or what Grafana makes of it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A series that a recording rule writes, or that something other than natobs exports.

    Args:
        name: of the series.
        labels: that it has beside those of the target, closed or not.
        counter: whether it only grows.
        origin: which labels of the target it has.
    """

    name: str
    labels: tuple[str, ...] = ()
    counter: bool = False
    origin: Origin = Origin.RULE


Source = Metric | Recorded
"""What a selector selects."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """How expressions are written into files.

    Args:
        scale: durations are divided by it; 1 in production, more in a lab.
        group_labels: labels of the scrape configuration that a fleet's NATs are told apart by, beside the usual ones.
        matchers: what every selector of series from there matches too, as it stands in braces.
    """

    scale: float = 1.0
    group_labels: tuple[str, ...] = ()
    matchers: Mapping[Origin, str] = field(default_factory=dict)

    def labels(self, scope: Scope) -> tuple[str, ...]:
        """The labels of a scope, the fleet's own first."""
        return (*self.group_labels, *scope.value)

    def duration(self, seconds: float) -> str:
        """Prometheus' notation of a duration, in the largest unit that leaves no rest; at least a millisecond."""
        milliseconds = max(1, round(seconds * 1000 / self.scale))
        size, unit = next(pair for pair in _UNITS if milliseconds % pair[0] == 0)
        return f"{milliseconds // size}{unit}"

    def number(self, seconds: float) -> str:
        """Seconds as a plain number, to compare with time stamps."""
        return f"{seconds / self.scale:.12g}"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression with place-holders; make it with the functions below, read it with :meth:`text`.

    Args:
        template: the expression.
        sources: all that it selects.
        atom: whether it can be an operand without parentheses.
    """

    template: str
    sources: frozenset[Source] = field(default_factory=frozenset)
    atom: bool = True

    def text(self, rendering: Rendering) -> str:
        """The expression as Prometheus reads it."""

        def fill(match: re.Match[str]) -> str:
            if match["scope"]:
                return ", ".join(rendering.labels(Scope[match["scope"].upper()]))
            if match["origin"]:
                added = rendering.matchers.get(Origin(match["origin"]), "")
                inside = ", ".join(filter(None, (match["inside"], added)))
                return f"{{{inside}}}" if inside else ""
            seconds = float(match["seconds"])
            return rendering.number(seconds) if match["number"] else rendering.duration(seconds)

        return _MARK.sub(fill, self.template)

    @property
    def metrics(self) -> frozenset[Metric]:
        """The metrics of natobs that it selects."""
        return frozenset(source for source in self.sources if isinstance(source, Metric))

    def __truediv__(self, other: "Query | float") -> "Query":
        return _infix(self, "/", other)

    def __mul__(self, other: "Query | float") -> "Query":
        return _infix(self, "*", other)

    def __add__(self, other: "Query | float") -> "Query":
        return _infix(self, "+", other)

    def __sub__(self, other: "Query | float") -> "Query":
        return _infix(self, "-", other)

    def __gt__(self, other: "Query | float") -> "Query":
        return _infix(self, ">", other)

    def __ge__(self, other: "Query | float") -> "Query":
        return _infix(self, ">=", other)

    def __lt__(self, other: "Query | float") -> "Query":
        return _infix(self, "<", other)

    def __le__(self, other: "Query | float") -> "Query":
        return _infix(self, "<=", other)

    def equals(self, other: "Query | float") -> "Query":
        """Those of these series whose value is the other's."""
        return _infix(self, "==", other)

    def compare(self, operator: str, other: "Query | float") -> "Query":
        """Filter by a comparison that is data: ``>``, ``>=``, ``<``, ``<=``, ``==`` or ``!=``."""
        if operator not in {">", ">=", "<", "<=", "==", "!="}:
            raise CatalogueError(f"{operator!r} is no comparison")
        return _infix(self, operator, other)

    def is_so(self, operator: str, other: "Query | float") -> "Query":
        """1 where the comparison holds, 0 where it does not."""
        return _infix(self, f"{operator} bool", other)

    def both(self, other: "Query", on: Scope | Sequence[str]) -> "Query":
        """These series, where the other has one with the same labels."""
        return _infix(self, f"and on ({labels(on)})", other)

    def unless(self, other: "Query", on: Scope | Sequence[str]) -> "Query":
        """These series, where the other has none with the same labels."""
        return _infix(self, f"unless on ({labels(on)})", other)

    def either(self, other: "Query") -> "Query":
        """These series, and those of the other with labels that these do not have."""
        return _infix(self, "or", other)

    def by_one(self, operator: str, other: "Query", on: Scope | Sequence[str], take: Sequence[str] = ()) -> "Query":
        """Arithmetic of many with one: match on these labels, and take some of the other's."""
        return _infix(self, f"{operator} on ({labels(on)}) group_left ({', '.join(take)})", other)

    def against(self, operator: str, other: "Query", on: Scope | Sequence[str]) -> "Query":
        """Arithmetic or comparison of one with one, on these labels alone."""
        return _infix(self, f"{operator} on ({labels(on)})", other)


NOW = Query("time()")
"""When the rule is evaluated, in seconds since the epoch."""


def labels(of: Scope | Sequence[str]) -> str:
    """Labels as they stand in parentheses; those of a scope as its place-holder."""
    return of.mark if isinstance(of, Scope) else ", ".join(of)


def seconds(number: float) -> Query:
    """A length of time as a plain number, shortened as durations are."""
    return Query(f"«{number:.0f}#»")


def series(source: Source, part: str = "", /, *, offset: int = 0, **matchers: str) -> Query:
    """The series of a metric.

    Args:
        source: a metric, or a recorded series.
        part: of a histogram: ``_bucket``, ``_count`` or ``_sum``.
        offset: seconds back in time.
        matchers: by label: a value; ``~`` and a regular expression; ``!`` before either for what it must not be.

    Raises:
        CatalogueError: the metric has no such label, the label no such value, or the metric is no histogram.
    """
    if isinstance(source, Metric):
        if (source.kind is Kind.HISTOGRAM) != (part in _HISTOGRAM_SERIES):
            raise CatalogueError(f"{source.name}: {_HISTOGRAM_SERIES} select a histogram, and nothing else")
        for name, value in matchers.items():
            _check(source, name, value)
    elif unknown := matchers.keys() - {*source.labels, *TARGET_LABELS}:
        raise CatalogueError(f"{source.name}: no label {', '.join(sorted(unknown))}")
    inside = ", ".join(_matcher(name, value) for name, value in matchers.items())
    origin = source.origin if isinstance(source, Recorded) else Origin.TARGET
    text = f"{source.name}{part}«{origin.value}{{{inside}}}»" + (f" offset «{offset}»" if offset else "")
    return Query(text, frozenset({source}))


def _check(metric: Metric, name: str, value: str) -> None:
    known = {label.name: label for label in metric.labels}
    if name in TARGET_LABELS:
        return
    if name not in known:
        raise CatalogueError(f"{metric.name}: no label {name}; it has {', '.join(known) or 'none'}")
    domain, wanted = known[name].domain, value.removeprefix("!")
    words = wanted[1:].split("|") if wanted.startswith("~") else [re.escape(wanted)]
    dead = [word for word in words if domain and not any(re.fullmatch(word, one) for one in domain)]
    if dead:
        raise CatalogueError(f"{metric.name}: {name} is never {', '.join(dead)}; it is one of {', '.join(domain)}")


def _matcher(name: str, value: str) -> str:
    if value.startswith("!~"):
        operator, text = "!~", value[2:]
    else:
        operator, text = {"~": ("=~", value[1:]), "!": ("!=", value[1:])}.get(value[:1], ("=", value))
    return f'{name}{operator}"{text}"'


def _ranged(function: str, query: Query, window: Window, *before: str) -> Query:
    selector, _, shift = query.template.partition(" offset ")
    reach = f"[{_length(window)}]" + (f" offset {shift}" if shift else "")
    return Query(f"{function}({', '.join((*before, selector + reach))})", query.sources)


def _length(window: Window) -> str:
    return window.value if isinstance(window, Span) else f"«{window}»"


def _counting(function: str, query: Query, window: Window) -> Query:
    for source in query.sources:
        counts = source.counter if isinstance(source, Recorded) else source.kind in {Kind.COUNTER, Kind.HISTOGRAM}
        if not counts:
            raise CatalogueError(f"{function}({source.name}): not a counter")
    return _ranged(function, query, window)


def rate(query: Query, window: Window) -> Query:
    """Increase of counters per second, over a window of seconds."""
    return _counting("rate", query, window)


def increase(query: Query, window: Window) -> Query:
    """Increase of counters over a window of seconds."""
    return _counting("increase", query, window)


def over(function: str, query: Query, window: Window, *before: str) -> Query:
    """A function ``..._over_time`` of gauges or recorded series; ``before`` are arguments that come first.

    Raises:
        CatalogueError: the series is a counter, whose plain value says nothing.
    """
    for source in query.sources:
        if isinstance(source, Metric) and source.kind is Kind.COUNTER and not function.startswith("last"):
            raise CatalogueError(f"{function}({source.name}): of a counter")
    return _ranged(function, query, window, *before)


def changes(query: Query, window: Window) -> Query:
    """How often a gauge changed within a window of seconds."""
    return _ranged("changes", query, window)


def aggregate(function: str, scope: Scope | Sequence[str], query: Query, *more: str) -> Query:
    """``sum``, ``max``, ``min`` and ``count`` by the labels of a scope and more; of everything where there are none."""
    inside = ", ".join((labels(scope), *more)) if isinstance(scope, Scope) else labels((*scope, *more))
    grouped = f" by ({inside}) " if inside else ""
    return Query(f"{function}{grouped}({query.template})", query.sources)


def total(scope: Scope | Sequence[str], query: Query, *more: str) -> Query:
    """Sum by the labels of a scope, and more."""
    return aggregate("sum", scope, query, *more)


def highest(scope: Scope | Sequence[str], query: Query, *more: str) -> Query:
    """Maximum by the labels of a scope, and more."""
    return aggregate("max", scope, query, *more)


def lowest(scope: Scope | Sequence[str], query: Query, *more: str) -> Query:
    """Minimum by the labels of a scope, and more."""
    return aggregate("min", scope, query, *more)


def count(scope: Scope | Sequence[str], query: Query, *more: str) -> Query:
    """Number of series by the labels of a scope, and more."""
    return aggregate("count", scope, query, *more)


def call(function: str, *arguments: "Query | str | float") -> Query:
    """A function of instant vectors and plain values, such as ``clamp_min`` or ``histogram_quantile``."""
    texts = [one.template if isinstance(one, Query) else str(one) for one in arguments]
    sources = [one.sources for one in arguments if isinstance(one, Query)]
    return Query(f"{function}({', '.join(texts)})", frozenset().union(*sources))


def _infix(left: Query, operator: str, right: "Query | float") -> Query:
    if not isinstance(right, Query):
        right = Query(f"{right:.12g}")
    texts = [one.template if one.atom else f"({one.template})" for one in (left, right)]
    return Query(f"{texts[0]} {operator} {texts[1]}", left.sources | right.sources, atom=False)
