"""Every expression of every generated panel and rule, as Prometheus is asked it in a lab.

An alert compares, and a comparison returns nothing while all is well. Its
operands are asked instead: what is compared, what must hold too, on both sides
of every comparison.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import promql_parser as promql
import yaml

from tests import dashboard_lint as lint

_COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
_CHOSEN = re.compile(r"\$(job|instance|nat_cluster|nat|subnet)\b")


class Expression(NamedTuple):
    """One expression.

    Args:
        place: of the panel or the rule, for a person.
        text: what Prometheus is asked.
        whole: the condition of the alert that it is an operand of; empty where it is asked as it is.
    """

    place: str
    text: str
    whole: str = ""


def of_panels(files: Mapping[str, str], lengths: Mapping[str, str]) -> Iterator[Expression]:
    """Of every query of every panel and every annotation, with everything chosen that can be.

    Args:
        files: dashboards by path.
        lengths: what Grafana's variables of time stand for.
    """
    for path, content in files.items():
        if not re.fullmatch(r"dashboards/natobs-[\w-]+\.json", path):
            continue
        dashboard = json.loads(content)
        found = [(panel["title"], target["expr"]) for panel, target in lint.targets(dashboard)]
        found += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
        for title, query in found:
            text = reduce(lambda one, pair: one.replace(*pair), lengths.items(), _CHOSEN.sub(".+", query))
            yield Expression(f"{dashboard['uid']}: {title}", text)


def of_rules(files: Mapping[str, str]) -> Iterator[Expression]:
    """Of every recording rule, and the operands of every alert and of every condition that is recorded."""
    for text in files.values():
        for group in yaml.safe_load(text)["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    yield from (Expression(rule["record"], text) for text in _recorded(rule["expr"]))
                    continue
                for operand in operands(promql.parse(rule["expr"])):
                    yield Expression(rule["alert"], operand.prettify(), rule["expr"])


def _recorded(text: str) -> Iterator[str]:
    node: Any = promql.parse(text)
    if type(node).__name__ == "BinaryExpr" and node.modifier is not None and node.modifier.return_bool:
        yield from (operand.prettify() for operand in operands(node.lhs))
    else:
        yield text


def operands(node: Any) -> Iterator[Any]:  # noqa: ANN401 - any node of an expression
    """What a condition compares: its vectors without the comparisons that filter them."""
    if type(node).__name__ == "ParenExpr":
        yield from operands(node.expr)
        return
    operator = str(node.op) if type(node).__name__ == "BinaryExpr" else ""
    boolean = bool(operator) and node.modifier is not None and node.modifier.return_bool
    if operator in {"and", "or"} or (operator in _COMPARISONS and not boolean):
        yield from operands(node.lhs)
        yield from operands(node.rhs)
    elif operator == "unless":
        yield from operands(node.lhs)  # what is on the other side must be missing
    elif type(node).__name__ != "NumberLiteral":
        yield node
