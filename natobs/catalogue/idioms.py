"""Idioms of PromQL: what natobs' expressions do again and again, and takes several functions.

Knows no metric.
"""

from natobs.catalogue.promql import Query, Scope, Window, aggregate, call, over, rate, seconds, series, total
from natobs.catalogue.types import Metric


def pooled(scope: Scope, function: str, **parts: Query) -> Query:
    """Sum (or maximum) by scope over several expressions of which some may be missing, as on a host without that part.

    A plain ``+`` would give nothing as soon as one operand is missing, and ``or`` would drop series of equal labels:
    each part gets a label of its own first.
    """
    labelled = [
        call("label_replace", aggregate(function, scope, part), '"part"', f'"{name}"', '""', '""')
        for name, part in parts.items()
    ]
    union = labelled[0]
    for part in labelled[1:]:
        union = union.either(part)
    return aggregate(function, scope, union)


def quantile(share: float, histogram: Metric, window: Window, *by: str) -> Query:
    """The value that this share of a histogram's observations stays below, by labels."""
    return call("histogram_quantile", share, total((*by, "le"), rate(series(histogram, "_bucket"), window)))


def slope(query: Query, window: Window) -> Query:
    """How fast a gauge grows per second, by the line through a window of seconds."""
    return over("deriv", query, window)


def most(number: int, query: Query) -> Query:
    """The series with the largest values."""
    return call("topk", number, query)


def predicted(query: Query, window: Window, ahead: int) -> Query:
    """What a gauge will be in so many seconds, by the line through a window of seconds."""
    ranged = over("predict_linear", query, window)
    return Query(f"{ranged.template.removesuffix(')')}, {seconds(ahead).template})", ranged.sources)
