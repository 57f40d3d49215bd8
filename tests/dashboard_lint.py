"""The Prometheus rules of grafana/dashboard-linter, written anew from their documentation, and the grid.

Source: https://github.com/grafana/dashboard-linter/tree/main/docs/rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import combinations
from typing import Any, NamedTuple

import promql_parser as promql

Json = dict[str, Any]
COLUMNS = 24
NUMBERS = {"stat", "timeseries", "gauge", "table", "bargauge", "state-timeline"}
"""Kinds of panels that show numbers. The linter leaves out the last two; nothing here does."""
UNITS = {
    *("none", "short", "percent", "percentunit", "bytes", "decbytes", "bits", "decbits", "Bps", "binBps", "bps", "pps"),
    *("s", "ms", "dtdurations", "dateTimeAsIso", "dateTimeFromNow", "ops", "reqps", "cps", "cpm", "hertz", "bool"),
    *("bool_yes_no", "bool_on_off", "currencyUSD", "currencyEUR", "currencyGBP", "currencyJPY", "currencyCHF"),
}
"""Of Grafana's units those that a NAT has a use for."""
RATE, RANGE = "$__rate_interval", "$__range"
SUBSTITUTES = {RATE: timedelta(minutes=7, seconds=3), RANGE: timedelta(minutes=11, seconds=5)}
"""Lengths that nobody would write, so that they are recognized after parsing."""
LABEL_FUNCTIONS = {"label_names", "label_values", "metrics", "query_result"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


class Finding(NamedTuple):
    rule: str
    dashboard: str
    panel: str
    text: str


class Query(NamedTuple):
    panel: str
    text: str
    tree: promql.Expr


def panels(dashboard: Json) -> Iterator[Json]:
    """All panels, rows among them, those inside of rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def shown(dashboard: Json) -> list[Json]:
    return [panel for panel in panels(dashboard) if panel["type"] != "row"]


def targets(dashboard: Json) -> Iterator[tuple[Json, Json]]:
    """Panels with each of their queries of Prometheus."""
    for panel in shown(dashboard):
        for target in panel.get("targets", []):
            if target["datasource"]["type"] == "prometheus":
                yield panel, target


def substituted(expression: str) -> str:
    """An expression as Grafana sends it, the variables of labels left as they are: they stand in quotes."""
    for variable, length in SUBSTITUTES.items():
        expression = expression.replace(variable, f"{length.total_seconds():.0f}s")
    return expression


def walk(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:  # noqa: ANN401 - any node
    """Every node of an expression with those above it, the nearest last."""
    yield node, above
    below = []
    match type(node).__name__:
        case "BinaryExpr":
            below = [node.lhs, node.rhs]
        case "Call":
            below = node.args
        case "AggregateExpr":
            below = [node.expr]
        case "MatrixSelector":
            below = [node.vector_selector]
        case "ParenExpr" | "SubqueryExpr" | "UnaryExpr":
            below = [node.expr]
    for one in below:
        yield from walk(one, (*above, node))


def lint(dashboard: Json) -> list[Finding]:
    """All that the rules find."""
    title = dashboard["title"]
    found = [Finding(rule, title, "", text) for rule, text in _dashboard(dashboard)]
    for panel in shown(dashboard):
        found += [Finding(rule, title, panel.get("title", ""), text) for rule, text in _panel(panel, dashboard)]
    for panel, target in targets(dashboard):
        found += [Finding(rule, title, panel.get("title", ""), text) for rule, text in _target(target)]
    return found


def without(findings: Iterable[Finding], exclusions: Mapping[str, Json]) -> tuple[list[Finding], list[str]]:
    """Findings that no exclusion allows, and exclusions that allow nothing."""
    used: set[tuple[str, str, str]] = set()
    left: list[Finding] = []
    for one in findings:
        allowed = exclusions.get(one.rule, {}).get("entries", [])
        matching = [e for e in allowed if e["dashboard"] == one.dashboard and e.get("panel", one.panel) == one.panel]
        used.update((one.rule, e["dashboard"], e.get("panel", "")) for e in matching)
        if not matching:
            left.append(one)
    unused = [
        f"{rule}: {entry}"
        for rule, exclusion in exclusions.items()
        for entry in exclusion["entries"]
        if (rule, entry["dashboard"], entry.get("panel", "")) not in used
    ]
    return left, unused


def _dashboard(dashboard: Json) -> Iterator[tuple[str, str]]:
    variables = dashboard["templating"]["list"]
    sources = [one for one in variables if one["type"] == "datasource"]
    if [(one["name"], one["label"]) for one in sources] != [("datasource", "Data source")]:
        yield "template-datasource-rule", "there is one variable for the data source, 'datasource', 'Data source'"
    for name in ("job", "instance"):
        yield from ((f"template-{name}-rule", text) for text in _chooser(name, variables))
    for variable in (one for one in variables if one["type"] == "query"):
        call = re.fullmatch(r"(\w+)\((.+)\)", variable["query"])
        if not call or call[1] not in LABEL_FUNCTIONS or not _parses(call[2].rpartition(",")[0] or call[2]):
            yield "template-label-promql-rule", f"{variable['name']}: {variable['query']}"
        if variable["refresh"] != 2:
            yield "template-on-time-change-reload-rule", f"{variable['name']}: refresh {variable['refresh']}"
    if dashboard["editable"]:
        yield "uneditable-dashboard-rule", "it can be edited"


def _chooser(name: str, variables: list[Json]) -> Iterator[str]:
    found = next((one for one in variables if one["name"] == name), None)
    if found is None:
        yield "missing"
        return
    wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
    for key, value in wanted.items():
        if found.get(key) != value:
            yield f"{key} is {found.get(key)!r}, not {value!r}"
    if found["datasource"]["uid"] != "${datasource}":
        yield f"asks {found['datasource']}"


def _panel(panel: Json, dashboard: Json) -> Iterator[tuple[str, str]]:
    chosen = {f"${{{one['name']}}}" for one in dashboard["templating"]["list"] if one["type"] == "datasource"}
    asked = [panel.get("datasource", {}), *(target.get("datasource", {}) for target in panel.get("targets", []))]
    for source in asked:
        if source.get("uid") not in chosen:
            yield "panel-datasource-rule", f"asks {source}"
    if not panel.get("title") or not panel.get("description"):
        yield "panel-title-description-rule", "no title, or no description"
    if panel["type"] in NUMBERS:
        fields = panel["fieldConfig"]
        units = [fields["defaults"].get("unit", "")]
        units += [p["value"] for one in fields["overrides"] for p in one["properties"] if p["id"] == "unit"]
        for unit in units:
            if unit not in UNITS and not unit.startswith("currency:"):
                yield "panel-units-rule", f"unit {unit!r}"
    if not panel.get("targets"):
        yield "panel-no-targets-rule", "it asks for nothing"


def _target(target: Json) -> Iterator[tuple[str, str]]:
    try:
        tree = promql.parse(substituted(target["expr"]))
    except ValueError as error:
        yield "target-promql-rule", f"{target['expr']}: {error}"
        return
    for node, above in walk(tree):
        match type(node).__name__:
            case "MatrixSelector":
                function = above[-1].func.name if above else ""
                if function in {"rate", "irate", "increase"} and node.range not in SUBSTITUTES.values():
                    yield "target-rate-interval-rule", f"{function} over {node.range}: {node.vector_selector}"
            case "VectorSelector":
                yield from _selector(node, above)


def _selector(node: Any, above: tuple[Any, ...]) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - of promql_parser
    matchers = {(one.name, str(one.op), one.value) for one in node.matchers.matchers}
    for name in ("job", "instance"):
        if (name, "MatchOp.Re", f"${name}") not in matchers:
            yield f"target-{name}-rule", str(node)
    if str(node.name).endswith("_total"):
        functions = [one.func.name for one in above[-2:-1] if type(one).__name__ == "Call"]
        ranged = bool(above) and type(above[-1]).__name__ == "MatrixSelector"
        if not ranged or not {"rate", "irate", "increase"} & set(functions):
            yield "target-counter-agg-rule", str(node)


def _parses(text: str) -> bool:
    try:
        promql.parse(text)
    except ValueError:
        return False
    return True


def layout(dashboard: Json) -> Iterator[str]:
    """What is wrong with places and numbers of panels."""
    everything = list(panels(dashboard))
    numbers = [panel["id"] for panel in everything]
    if len(set(numbers)) != len(numbers):
        yield f"numbers that two panels have: {sorted({n for n in numbers if numbers.count(n) > 1})}"
    for panel in everything:
        place = panel["gridPos"]
        if not (place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS and place["w"] > 0 and place["h"] > 0):
            yield f"{panel['title']}: outside of the grid, {place}"
    groups = [dashboard["panels"], *(panel["panels"] for panel in dashboard["panels"] if panel.get("panels"))]
    for group in groups:
        for one, other in combinations(group, 2):
            if _overlap(one["gridPos"], other["gridPos"]):
                yield f"{one['title']!r} and {other['title']!r} overlap"


def gaps(dashboard: Json) -> Iterator[str]:
    """Lines of panels that end before the last column, but for the last line of a row."""
    groups: list[list[Json]] = [[]]
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            groups.append([])
        else:
            groups[-1].append(panel["gridPos"])
    for places in groups:
        lines = {place["y"] for place in places}
        for line in sorted(lines)[:-1]:
            if sum(place["w"] for place in places if place["y"] == line) != COLUMNS:
                yield f"line {line} is not full"


def _overlap(one: Json, other: Json) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def variables_of(text: str) -> set[str]:
    """Names of the variables in a text."""
    return {match[1] or match[2] for match in _VARIABLE.finditer(text)}
