"""Which series rules and dashboards read, and how far back: what a benchmark has to have a history of.

Knows rule files and Grafana's JSON. Refuses to know values. Dashboards of the
whole fleet are read for all of it; those of one NAT or cluster for one cluster.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import promql_parser
import yaml

ROOT = Path(__file__).parents[1]
WIDE = ("natobs-fleet", "natobs-executive")
"""Dashboards that are looked at with every cluster chosen."""
DAY = 86_400
SCRAPE_SECONDS = 15
STEP_SECONDS = 120
"""Between two points of a panel: 24 h on a panel 720 points wide."""
LOOKBACK_SECONDS = 300
"""How old a sample Prometheus still takes for the present one."""
_HOUR = 3600
_VARIABLES = {
    "$__rate_interval": f"{STEP_SECONDS + SCRAPE_SECONDS}s",
    "$__interval": f"{STEP_SECONDS}s",
    "$__range": "1d",
    "$job": ".+",
    "$instance": ".+",
    "$subnet": ".+",
}


@dataclass(frozen=True)
class Rule:
    """A rule: the series that it records (empty for an alert), its expression, its group, the interval in seconds."""

    record: str
    expression: str
    group: str
    interval: int


@dataclass(frozen=True)
class Panel:
    """A query of a panel, with the variables of its dashboard filled in."""

    dashboard: str
    title: str
    expression: str
    instant: bool


@dataclass(frozen=True)
class Need:
    """A metric that has to have a history.

    Args:
        name: of the metric.
        seconds: how far back.
        step: between two of its samples, in seconds.
        everywhere: for all NATs, or for those of one cluster; a name may have one of each, and then the cluster's
            is the longer and the denser.
    """

    name: str
    seconds: float
    step: int
    everywhere: bool


def rules(paths: Iterable[Path]) -> list[Rule]:
    """Read rule files."""
    groups = [group for path in paths for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return [
        Rule(rule.get("record", ""), rule["expr"], group["name"], _seconds(group["interval"]))
        for group in groups
        for rule in group["rules"]
    ]


def panels(paths: Iterable[Path], cluster: str) -> list[Panel]:
    """Read dashboards; ``cluster`` is the one that is chosen where not all are."""
    found = []
    for path in paths:
        everything = path.stem in WIDE
        chosen = {**_VARIABLES, "$nat_cluster": ".+" if everything else cluster, "$nat": ".+"}
        for panel, target in _targets(json.loads(path.read_text("utf-8"))["panels"]):
            text = str(target["expr"])
            for variable in sorted(chosen, key=len, reverse=True):
                text = text.replace(variable, chosen[variable])
            found.append(Panel(path.stem, panel["title"], text, bool(target.get("instant"))))
    return found


def _targets(of: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for panel in of:
        yield from ((panel, target) for target in panel.get("targets", ()) if target.get("expr"))
        yield from _targets(panel.get("panels", []))


def needs(of_rules: list[Rule], of_panels: list[Panel]) -> list[Need]:
    """Work out what has to have a history; at most one answer for each name and reach."""
    interval = {rule.record: rule.interval for rule in of_rules if rule.record}
    found: dict[tuple[str, bool], Need] = {}

    def add(need: Need) -> None:
        key = (need.name, need.everywhere)
        old = found.get(key, need)
        found[key] = replace(need, seconds=max(old.seconds, need.seconds), step=min(old.step, need.step))

    for rule in of_rules:
        for name, seconds in selectors(rule.expression):
            if seconds >= _HOUR:
                add(Need(name, seconds, interval.get(name, SCRAPE_SECONDS), everywhere=True))
    for panel in of_panels:
        wide = panel.dashboard in WIDE
        for name, seconds in selectors(panel.expression):
            usual = interval.get(name, SCRAPE_SECONDS)
            # an instant takes the latest sample alone, and one that is so old still is
            step = max(usual, LOOKBACK_SECONDS) if wide and not seconds else max(usual, 2 * SCRAPE_SECONDS)
            far = (0 if panel.instant else DAY) + seconds
            if far > _HOUR and (name in interval or not wide):
                add(Need(name, far, step, everywhere=wide))
    for name, everywhere in list(found):
        if everywhere and (name, False) in found:
            add(replace(found[name, True], everywhere=False))
    return sorted(found.values(), key=lambda need: (need.name, need.everywhere))


def selectors(expression: str) -> list[tuple[str, float]]:
    """List the metrics that an expression reads, with the length of their range in seconds; 0 for an instant."""
    return list(_selectors(promql_parser.parse(expression)))


def _selectors(node: Any) -> Iterator[tuple[str, float]]:  # noqa: ANN401 - promql_parser has no type for all nodes
    if isinstance(node, promql_parser.VectorSelector):
        yield str(node.name), 0.0
    elif isinstance(node, promql_parser.MatrixSelector):
        assert node.range is not None
        yield str(node.vector_selector.name), node.range.total_seconds()
    elif isinstance(node, promql_parser.SubqueryExpr):
        assert node.range is not None
        more = node.range.total_seconds()
        yield from ((name, seconds + more) for name, seconds in _selectors(node.expr))
    else:
        for part in ("lhs", "rhs", "expr", "param"):
            if getattr(node, part, None) is not None:
                yield from _selectors(getattr(node, part))
        for argument in getattr(node, "args", None) or ():
            yield from _selectors(argument)


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": _HOUR, "d": DAY}[text[-1]]
