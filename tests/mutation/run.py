"""Run mutants against their tests, and say which were noticed."""

import random
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.mutation.corpus import Corpus
from tests.mutation.mutants import Mutant, mutants

MOST_TESTS = 4
"""Of what reads a recorded series; the mask of maintenance is read by all alerts."""
JOBS = 2


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    killed: bool


def all_mutants(corpus: Corpus) -> list[Mutant]:
    """Every mutant of every rule."""
    return [mutant for rule in corpus.rules for mutant in mutants(rule)]


def sample(corpus: Corpus, number: int, seed: int) -> list[Mutant]:
    """So many mutants, the same ones for the same seed."""
    return random.Random(seed).sample(all_mutants(corpus), number)  # noqa: S311  no secret


def unnoticed(corpus: Corpus) -> list[str]:
    """Rules that no test concerns: their mutants would live for ever."""
    return [rule.name for rule in corpus.rules if not corpus.concerned(rule, 1)]


def run(corpus: Corpus, chosen: Sequence[Mutant], tick: Callable[[], None] = lambda: None) -> list[Result]:
    """Run mutants two at a time.

    Args:
        corpus: where they come from.
        chosen: which.
        tick: called after each.
    """

    def one(mutant: Mutant) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            original = next(rule for rule in corpus.rules if rule.place == mutant.rule.place)
            found = corpus.failures(corpus.concerned(original, MOST_TESTS), Path(folder), mutant.rule)
        tick()
        return Result(mutant, bool(found))

    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(one, chosen))


def table(results: Sequence[Result]) -> list[str]:
    """A line for each kind, one for all, and one for each that lives."""
    kinds = dict.fromkeys(result.mutant.kind for result in results)
    lines = [_line(kind, [one.killed for one in results if one.mutant.kind == kind]) for kind in kinds]
    lines.append(_line("all", [one.killed for one in results]))
    lines += [f"lives: {one.mutant.rule.name}: {one.mutant.change}" for one in results if not one.killed]
    return lines


def share(results: Sequence[Result]) -> float:
    """Of the mutants, how many were noticed."""
    return sum(one.killed for one in results) / len(results)


def _line(kind: str, killed: list[bool]) -> str:
    return f"{kind:<16} {sum(killed):>5} of {len(killed):>5} killed  {sum(killed) / len(killed):>7.1%}"
