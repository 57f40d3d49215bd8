"""The generated rules and their tests, and which tests concern which rule.

Knows the two formats of file and names in expressions. Knows no alert by name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

_FROM_NOTHING = {"vector", "absent"}
"""Functions that make series of none."""
Document = dict[str, Any]
_TIMES = re.compile(r"(\d+)(ms|[smhd])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_MASK = re.compile(r"\bunless on \([\w, ]+\)\s+[\w:]+\s*$")
_WORD = re.compile(r"[a-zA-Z_:][\w:]*")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_EXPECTATIONS = (("alert_rule_test", "alertname", "exp_alerts"), ("promql_expr_test", "expr", "exp_samples"))
"""The two kinds, where each says what it is of, and where it says what."""
_ALERT = re.compile(r'alertname="(\w+)"')
_OBJECTIVE = re.compile(r'sloth_id="([\w-]+)"')


def whole(names: frozenset[str]) -> str:
    """An expression for each of these names, where it is all of a name."""
    return rf"(?<![\w:])(?:{'|'.join(sorted(names))})(?![\w:])"


def seconds(time: str) -> float:
    """Read a duration as Prometheus writes it."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _TIMES.findall(time))


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        group: name of its group.
        place: its number among all rules, which tells those of one name apart.
        body: as in the file.
    """

    group: str
    place: int
    body: Document

    @property
    def name(self) -> str:
        """Of the alert or the recorded series."""
        return str(self.body.get("alert") or self.body["record"])

    @property
    def objective(self) -> str:
        """Whose series it records or, in an alert, reads; empty where that is not one objective."""
        found = set(_OBJECTIVE.findall(self.body["expr"]))
        return str(self.labels.get("sloth_id") or (found.pop() if len(found) == 1 else ""))

    def made(self, expected: Document) -> bool:
        """Whether what a test expects has the labels of this rule."""
        text = expected.get("labels", "")
        labels = expected["exp_labels"] if "exp_labels" in expected else dict(_LABEL.findall(text))
        return self.labels.items() <= labels.items()

    def apart(self, other: "Rule") -> bool:
        """Whether a label tells what one makes from what the other one makes."""
        return any(other.labels.get(key, value) != value for key, value in self.labels.items())

    @property
    def labels(self) -> Mapping[str, str]:
        """That it puts on what it makes."""
        return self.body.get("labels") or {}

    @cached_property
    def reads(self) -> frozenset[str]:
        """All names in its expression."""
        return frozenset(_WORD.findall(self.body["expr"]))

    @cached_property
    def made_of(self) -> frozenset[str]:
        """The same without what only masks: of that alone there comes no series."""
        return frozenset(_WORD.findall(_MASK.sub("", self.body["expr"])))


@dataclass(frozen=True, eq=False)
class Test:
    """One test of a file.

    Args:
        file: its name.
        interval: between evaluations.
        body: as in the file.
    """

    file: str
    interval: str
    body: Document

    @property
    def queries(self) -> tuple[str, ...]:
        """What it asks."""
        return tuple(one["expr"] for one in self.body.get("promql_expr_test", ()))

    @cached_property
    def names(self) -> frozenset[str]:
        """Alerts and series that it asks for."""
        alerts = {one["alertname"] for one in self.body.get("alert_rule_test", ())}
        return frozenset(alerts.union(*(_WORD.findall(query) + _ALERT.findall(query) for query in self.queries)))

    @cached_property
    def feeds(self) -> frozenset[str]:
        """Series that it feeds."""
        return frozenset(one["series"].partition("{")[0] for one in self.body["input_series"])

    @cached_property
    def cost(self) -> float:
        """Roughly how long it takes: evaluations, and series in each."""
        asked = (*self.body.get("alert_rule_test", ()), *self.body.get("promql_expr_test", ()))
        last = max((seconds(one["eval_time"]) for one in asked), default=0.0)
        return last / seconds(self.interval) * (10 + len(self.body["input_series"]))

    def only(self, names: frozenset[str], own: Rule | None = None) -> "Test":
        """The same with no more expectations than those that name one of these.

        Args:
            names: of alerts and series.
            own: and of these only what this rule makes, as its labels tell.
        """
        words = re.compile(whole(names))
        body = dict(self.body)
        for key, what, told in _EXPECTATIONS:
            asked = [one for one in body.get(key, ()) if words.search(one[what])]
            if own:
                asked = [{**one, told: [each for each in one[told] if own.made(each)]} for one in asked]
            body[key] = asked
        return replace(self, body=body)

    def dearness(self, rule: Rule) -> float:
        """The cost of each thing that it says of a rule; without end when it says only what must not be."""
        own = self.only(frozenset({rule.name}), rule).body
        said = sum(len(one[told]) for key, _, told in _EXPECTATIONS for one in own[key])
        return self.cost / said if said else float("inf")

    def concerns(self, rule: Rule) -> bool:
        """Whether it asks for what this very rule makes."""
        objectives = {one for query in self.queries for one in _OBJECTIVE.findall(query)}
        return rule.name in self.names and (not rule.objective or not objectives or rule.objective in objectives)


@dataclass(frozen=True)
class Corpus:
    """All rules in the order in which they are evaluated, and all tests."""

    rules: tuple[Rule, ...]
    tests: tuple[Test, ...]

    def needed(self, test: Test) -> list[Rule]:
        """The rules that a test asks for, and those that they read, directly or not, and that what it feeds reaches."""
        wanted, asked = set[str](), set(test.names)
        while asked:
            wanted |= asked
            asked = set().union(*(rule.reads for rule in self.rules if rule.name in asked)) - wanted
        reached, grown = set(test.feeds), True
        while grown:
            found = {rule.name for rule in self.rules if rule.made_of & (reached | _FROM_NOTHING)}
            grown = not found <= reached
            reached |= found
        return [rule for rule in self.rules if rule.name in wanted and rule.made_of & (reached | _FROM_NOTHING)]

    def concerned(self, rule: Rule, most: int) -> list[Test]:
        """The tests that must notice when a rule is wrong: all that ask for it, then some of what reads it."""
        found = sorted(
            (test for test in self.tests if self._shows(test, rule, rule)), key=lambda one: one.dearness(rule)
        )
        asking = len(found)
        reading, seen = {rule.name}, {rule.name}
        while reading and len(found) < most:
            readers = [one for one in self.rules if one.reads & reading and one.name not in seen]
            more = {id(test): test for one in readers for test in self.tests if self._shows(test, one, rule)}
            found += sorted((test for test in more.values() if test not in found), key=lambda test: test.cost)
            reading = {one.name for one in readers}
            seen |= reading
        return found[: max(most, asking)]

    def _shows(self, test: Test, asked: Rule, rule: Rule) -> bool:
        """Whether a test asks for the one, and the other is computed in it."""
        return test.concerns(asked) and any(one.place == rule.place for one in self.needed(test))


def load(folder: Path) -> Corpus:
    """Read ``natobs-recording.yml``, ``natobs-alerts.yml`` and ``tests/`` of a folder."""
    tests: list[Test] = []
    order: list[str] = []
    for file in sorted((folder / "tests").glob("*.yml")):
        document = _read(file)
        order = max(order, document["group_eval_order"], key=len)
        tests += [Test(file.name, document["evaluation_interval"], body) for body in document["tests"]]
    groups = [group for part in ("recording", "alerts") for group in _read(folder / f"natobs-{part}.yml")["groups"]]
    rules: list[Rule] = []
    for group in sorted(groups, key=lambda group: order.index(group["name"])):
        rules += [Rule(group["name"], len(rules) + number, body) for number, body in enumerate(group["rules"])]
    return Corpus(tuple(rules), tuple(tests))


def _read(path: Path) -> Document:
    document: Document = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    return document
