"""The generated rules and their tests, and which tests concern which rule.

Knows the two formats of file and names in expressions. Knows no alert by name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.promtool import promtool

_FROM_NOTHING = {"vector", "absent"}
"""Functions that make series of none."""
Document = dict[str, Any]
_TIMES = re.compile(r"(\d+)(ms|[smhd])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_WORD = re.compile(r"[a-zA-Z_:][\w:]*")
_ALERT = re.compile(r'alertname="(\w+)"')
_OBJECTIVE = re.compile(r'sloth_id="([\w-]+)"')


def seconds(time: str) -> float:
    """Read a duration as Prometheus writes it."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _TIMES.findall(time))


@dataclass(frozen=True, slots=True)
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
        of = self.body["labels"].get("sloth_id") if self.body.get("labels") else None
        found = set(_OBJECTIVE.findall(self.body["expr"]))
        return str(of or (found.pop() if len(found) == 1 else ""))

    @property
    def reads(self) -> frozenset[str]:
        """All names in its expression."""
        return frozenset(_WORD.findall(self.body["expr"]))


@dataclass(frozen=True, slots=True)
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

    @property
    def names(self) -> frozenset[str]:
        """Alerts and series that it asks for."""
        alerts = {one["alertname"] for one in self.body.get("alert_rule_test", ())}
        return frozenset(alerts.union(*(_WORD.findall(query) + _ALERT.findall(query) for query in self.queries)))

    @property
    def feeds(self) -> frozenset[str]:
        """Series that it feeds."""
        return frozenset(one["series"].partition("{")[0] for one in self.body["input_series"])

    @property
    def cost(self) -> float:
        """Roughly how long it takes: evaluations, and series in each."""
        asked = (*self.body.get("alert_rule_test", ()), *self.body.get("promql_expr_test", ()))
        last = max((seconds(one["eval_time"]) for one in asked), default=0.0)
        return last / seconds(self.interval) * (10 + len(self.body["input_series"]))

    def concerns(self, rule: Rule) -> bool:
        """Whether it asks for what this very rule makes."""
        objectives = {one for query in self.queries for one in _OBJECTIVE.findall(query)}
        return rule.name in self.names and (not rule.objective or not objectives or rule.objective in objectives)


@dataclass(frozen=True, slots=True)
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
            found = {rule.name for rule in self.rules if rule.reads & (reached | _FROM_NOTHING)}
            grown = not found <= reached
            reached |= found
        return [rule for rule in self.rules if rule.name in wanted and rule.reads & (reached | _FROM_NOTHING)]

    def concerned(self, rule: Rule, most: int) -> list[Test]:
        """The tests that must notice when a rule is wrong: all that ask for it, then some of what reads it."""
        found = sorted((test for test in self.tests if test.concerns(rule)), key=lambda test: test.cost)
        asking = len(found)
        reading, seen = {rule.name}, {rule.name}
        while reading and len(found) < most:
            readers = [one for one in self.rules if one.reads & reading and one.name not in seen]
            found += [test for one in readers for test in self.tests if test.concerns(one) and test not in found]
            reading = {one.name for one in readers}
            seen |= reading
        return found[: max(most, asking)]

    def failures(self, tests: Sequence[Test], folder: Path, instead: Rule | None = None) -> str:
        """Run tests with no more rules than they need; gives what promtool said when one failed.

        Args:
            tests: to run.
            folder: for the files; an empty one.
            instead: takes the place of the rule that it was made of.
        """
        for number, test in enumerate(tests):
            rules = [instead if instead and instead.place == one.place else one for one in self.needed(test)]
            groups: dict[str, list[Document]] = {}
            for rule in rules:
                groups.setdefault(rule.group, []).append(rule.body)
            written = {"groups": [{"name": name, "rules": bodies} for name, bodies in groups.items()]}
            asked = {"evaluation_interval": test.interval, "group_eval_order": list(groups), "tests": [test.body]}
            (folder / "rules.yml").write_text(_dump(written))
            file = folder / f"test-{number}.yml"
            file.write_text(_dump({"rule_files": ["rules.yml"], **asked}))
            status, output = promtool("test", "rules", file)
            if status:
                return f"{test.file}: {test.body['name']}: {output}"
        return ""


def load(folder: Path) -> Corpus:
    """Read ``natobs-recording.yml``, ``natobs-alerts.yml`` and ``tests/`` of a folder."""
    rules: list[Rule] = []
    for part in ("recording", "alerts"):
        for group in _read(folder / f"natobs-{part}.yml")["groups"]:
            rules += [Rule(group["name"], len(rules) + number, body) for number, body in enumerate(group["rules"])]
    tests: list[Test] = []
    for file in sorted((folder / "tests").glob("*.yml")):
        document = _read(file)
        tests += [Test(file.name, document["evaluation_interval"], body) for body in document["tests"]]
    return Corpus(tuple(rules), tuple(tests))


def _read(path: Path) -> Document:
    document: Document = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    return document


def _dump(value: object) -> str:
    return str(yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False))
