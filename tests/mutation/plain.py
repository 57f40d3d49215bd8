"""Tests one after the other, of rules under their own names; so is proven that rules are right, and batches are too.

Knows how rules and one test become files.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutation.corpus import Corpus, Document, Rule, Test
from tests.promtool import promtool


def complaint(corpus: Corpus, tests: Iterable[Test], folder: Path) -> str:
    """What promtool says of the first test that fails, of no more rules than it needs; empty when none does.

    Args:
        corpus: all rules.
        tests: to run.
        folder: for the files.
    """
    return next((said for test in tests if (said := _run(test, corpus.needed(test), folder))), "")


def complaint_of_all_rules(corpus: Corpus, tests: Iterable[Test], folder: Path, instead: Rule) -> str:
    """The same of all rules, one of which takes the place of that which it was made of."""
    rules = [instead if rule.place == instead.place else rule for rule in corpus.rules]
    return next((said for test in tests if (said := _run(test, rules, folder))), "")


def write(folder: Path, groups: dict[str, list[Document]], test: Document, interval: str) -> Path:
    """Write rules by group, in the order of evaluation, and one test; gives its path.

    JSON is YAML, and quick to write.
    """
    rules = {"groups": [{"name": name, "rules": bodies} for name, bodies in groups.items()]}
    asked = {"evaluation_interval": interval, "group_eval_order": list(groups), "tests": [test]}
    (folder / "rules.yml").write_text(json.dumps(rules, ensure_ascii=False))
    path = folder / "test.yml"
    path.write_text(json.dumps({"rule_files": ["rules.yml"], **asked}, ensure_ascii=False))
    return path


def _run(test: Test, rules: Sequence[Rule], folder: Path) -> str:
    groups: dict[str, list[Document]] = {}
    for rule in rules:
        groups.setdefault(rule.group, []).append(rule.body)
    status, output = promtool("test", "rules", write(folder, groups, test.body, test.interval))
    return f"{test.file}: {test.body['name']}: {output}" if status else ""
