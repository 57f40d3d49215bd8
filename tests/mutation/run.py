"""Run mutants against their tests, and say which were noticed."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.mutation import batch, equivalent, plain
from tests.mutation.corpus import Corpus, Rule
from tests.mutation.mutants import Mutant, mutants

MOST_TESTS = 4
"""Of what reads a recorded series; the mask of maintenance is read by all alerts."""
JOBS = 2


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    killed: bool

    @property
    def reason(self) -> str:
        """Why it makes no difference; empty where it does."""
        return equivalent.reason(self.mutant)


def all_mutants(corpus: Corpus) -> list[Mutant]:
    """Every mutant of every rule."""
    return [mutant for rule in corpus.rules for mutant in mutants(rule)]


def sample(corpus: Corpus, number: int, seed: int) -> list[Mutant]:
    """So many mutants, the same ones for the same seed."""
    return random.Random(seed).sample(all_mutants(corpus), number)  # noqa: S311  no secret


def unnoticed(corpus: Corpus) -> list[str]:
    """Rules that no test concerns: their mutants would live for ever."""
    return [rule.name for rule in corpus.rules if not corpus.concerned(rule, 1)]


def run(
    corpus: Corpus, chosen: Sequence[Mutant], tick: Callable[[int], None] = lambda _number: None, jobs: int = JOBS
) -> list[Result]:
    """Run the mutants of a rule together, and some rules at a time.

    Args:
        corpus: where they come from.
        chosen: which.
        tick: called with the number of mutants of a rule when all of them are done.
        jobs: how many rules at a time.
    """
    by_rule: dict[int, dict[int, Mutant]] = {}
    for number, mutant in enumerate(chosen, 1):
        by_rule.setdefault(mutant.rule.place, {})[number] = mutant

    def one(place: int) -> set[int]:
        found = _noticed(
            corpus, corpus.rules[place], {number: mutant.rule for number, mutant in by_rule[place].items()}
        )
        tick(len(by_rule[place]))
        return found

    with ThreadPoolExecutor(jobs) as pool:
        killed = set().union(*pool.map(one, by_rule))
    return [Result(mutant, number in killed) for number, mutant in enumerate(chosen, 1)]


def _noticed(corpus: Corpus, rule: Rule, made: Mapping[int, Rule]) -> set[int]:
    """Which mutants of a rule any test notices; the quickest test is asked first, the next ones of what still lives."""
    living = dict(made)
    for test in corpus.concerned(rule, MOST_TESTS):
        if not living:
            break
        with tempfile.TemporaryDirectory() as folder:
            for number in batch.noticed(corpus, test, rule, living, Path(folder)):
                del living[number]
    return made.keys() - living.keys()


def noticed_by_all_rules(corpus: Corpus, mutant: Mutant, folder: Path) -> bool:
    """The verdict on a mutant the slow way: alone, among all rules, against whole tests."""
    tests = corpus.concerned(corpus.rules[mutant.rule.place], MOST_TESTS)
    return bool(plain.complaint_of_all_rules(corpus, tests, folder, mutant.rule))


def table(results: Sequence[Result]) -> list[str]:
    """A line for each kind, one for all, those that make no difference, and one for each that lives."""
    kinds = dict.fromkeys(result.mutant.kind for result in results)
    lines = [_line(kind, [one for one in results if one.mutant.kind == kind]) for kind in kinds]
    lines += [_line("all", results), _line("that differ", [one for one in results if not one.reason])]
    reasons = Counter(one.reason for one in results if one.reason)
    lines += [f"{number} make no difference: {reason}" for reason, number in reasons.items()]
    lines += [f"lives: {_said(one.mutant)}" for one in results if not one.killed and not one.reason]
    return lines + [f"noticed, and said to make no difference: {_said(one.mutant)}" for one in misplaced(results)]


def share(results: Sequence[Result]) -> float:
    """Of all mutants, how many were noticed; those that make no difference count as missed."""
    return sum(one.killed for one in results) / len(results)


def misplaced(results: Sequence[Result]) -> list[Result]:
    """Mutants that were noticed, although they are said to make no difference."""
    return [one for one in results if one.killed and one.reason]


def _line(kind: str, results: Sequence[Result]) -> str:
    return f"{kind:<16} {sum(one.killed for one in results):>5} of {len(results):>5} killed  {share(results):>7.1%}"


def _said(mutant: Mutant) -> str:
    behind = f", behind …{mutant.behind}" if mutant.behind else ""
    return f"{mutant.rule.name}: {mutant.change}{behind}"
