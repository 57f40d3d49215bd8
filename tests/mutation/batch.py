"""Many mutants of one rule in one run of promtool: each under a name of its own, beside the rule as it is.

The rules that a test needs are written once; the rule that mutants were made of,
and whatever reads it, once for each mutant, with the mutant's number in their
names and in what the test expects. So series are loaded once, what comes before
the rule is computed once, and promtool says by name which mutants it noticed.
The rule itself is among them as number 0: were it noticed, the file would be wrong.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.mutation import plain
from tests.mutation.corpus import Corpus, Document, Rule, Test, whole
from tests.promtool import promtool

MOST = 60
"""Mutants in one run: what promtool holds in memory is bounded."""
_MARK = "_mutant"
_MARKED = re.compile(rf"{_MARK}(\d+)")
_BROKEN_OFF = re.compile(r"(?m)^ *rule: .*, err: |^\S*rules\.yml: ")
"""A rule cannot be computed or read: promtool looks at nothing else."""
_ITSELF = 0
_SHOWN = 2000
"""Of what promtool says, so many characters."""


class BatchError(Exception):
    """promtool failed, and not because of a mutant."""


def noticed(corpus: Corpus, test: Test, rule: Rule, mutants: Mapping[int, Rule], folder: Path) -> set[int]:
    """Which mutants a test notices.

    Args:
        corpus: all rules.
        test: that concerns the rule.
        rule: as it is.
        mutants: of this rule, by number from 1.
        folder: for the files.

    Raises:
        BatchError: the rule itself fails the test.
    """
    found: set[int] = set()
    waiting = sorted(mutants)
    while waiting:
        now, waiting = waiting[:MOST], waiting[MOST:]
        tried = {_ITSELF: rule} | {number: mutants[number] for number in now}
        status, output = _try(corpus, test, rule, tried, folder)
        caught = {int(number) for number in _MARKED.findall(output)} if status else set()
        if _ITSELF in caught or bool(status) != bool(caught):
            raise BatchError(f"{test.file}: {test.body['name']}: {rule.name}: {output[:_SHOWN]}")
        found |= caught
        if _BROKEN_OFF.search(output):  # the others have not been looked at
            waiting = [number for number in now if number not in caught] + waiting
    return found


def _try(corpus: Corpus, test: Test, rule: Rule, tried: Mapping[int, Rule], folder: Path) -> tuple[int, str]:
    needed = corpus.needed(test)
    names = _touched(rule, needed)
    others = [one for one in needed if one.name == rule.name and one.place != rule.place]
    alone = names == {rule.name} and all(rule.apart(one) for one in others)
    asked = test.only(names, rule if alone else None)
    needed = [one for one in corpus.needed(asked) if not (alone and one in others)]
    numbered = _Numbered(names)
    groups: dict[str, list[Document]] = {}
    for one in needed:
        made = tried if one.place == rule.place else dict.fromkeys(tried, one)
        bodies = [numbered.rule(made[n], n) for n in tried] if one.name in names else [one.body]
        groups.setdefault(one.group, []).extend(bodies)
    read = frozenset().union(*(one.reads for one in (*needed, *tried.values()))) | asked.names
    path = plain.write(folder, groups, numbered.test(asked, read, tried), test.interval)
    return promtool("test", "rules", path)


def _touched(rule: Rule, needed: Sequence[Rule]) -> frozenset[str]:
    """The names of a rule and of whatever reads it, directly or not."""
    found, grown = {rule.name}, True
    while grown:
        readers = {one.name for one in needed if one.reads & found}
        grown = not readers <= found
        found |= readers
    return frozenset(found)


class _Numbered:
    """Puts the number of a mutant behind some names."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = re.compile(whole(names))

    def _marked(self, text: str, number: int) -> str:
        return self._names.sub(lambda match: f"{match[0]}{_MARK}{number}", text)

    def test(self, test: Test, read: frozenset[str], numbers: Iterable[int]) -> Document:
        """The test of these mutants, with no more series than are read."""
        return {
            **test.body,
            "input_series": [
                {**one, "series": series}
                for one in test.body["input_series"]
                if one["series"].partition("{")[0] in read
                for series in self._fed(one["series"], numbers)
            ],
            **{
                key: [self._expected(one, number) for number in numbers for one in test.body[key]]
                for key in ("alert_rule_test", "promql_expr_test")
            },
        }

    def _fed(self, series: str, numbers: Iterable[int]) -> list[str]:
        """The series, and where it bears one of the names, one for each mutant."""
        return list(dict.fromkeys((series, *(self._marked(series, number) for number in numbers))))

    def rule(self, rule: Rule, number: int) -> Document:
        """The rule of this mutant."""
        keys = ("alert", "record", "expr")
        return {key: self._marked(value, number) if key in keys else value for key, value in rule.body.items()}

    def _expected(self, expected: Document, number: int) -> Document:
        """What the test expects of this mutant."""
        names = (key for key in ("alertname", "expr") if key in expected)
        changed: Document = {key: self._marked(expected[key], number) for key in names}
        if "exp_samples" in expected:
            samples = expected["exp_samples"]
            changed["exp_samples"] = [{**one, "labels": self._marked(one["labels"], number)} for one in samples]
        return {**expected, **changed}
