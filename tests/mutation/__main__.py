"""``make mutants``: every mutant of the committed rules; exit status 1 when too many live.

Example: ``python -m tests.mutation --rule NatTableFull``.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutation import run
from tests.mutation.corpus import Corpus, load
from tests.mutation.mutants import Mutant
from tests.promtool import ROOT

GOAL = 0.95


def main() -> int:
    """Run, and print the table; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", action="append", help="only mutants of this rule; may be repeated")
    parser.add_argument("--jobs", type=int, default=run.JOBS, help="rules at a time (%(default)s)")
    parser.add_argument("--compare", type=int, metavar="N", help="so many at random, and each among all rules too")
    asked = parser.parse_args()
    began = time.monotonic()
    corpus = load(ROOT / "alerts")
    chosen = [one for one in run.all_mutants(corpus) if not asked.rule or one.rule.name in asked.rule]
    if asked.compare:
        return compare(corpus, random.Random(asked.compare).sample(chosen, asked.compare))  # noqa: S311  no secret
    if not chosen:
        say("no mutant: is that the name of a rule?")
        return 1
    done = 0

    def tick(number: int) -> None:
        nonlocal done
        done += number
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {len(chosen)}")

    results = run.run(corpus, chosen, tick, asked.jobs)
    for line in run.table(results):
        say(line)
    say(f"{len(chosen)} mutants of {len(corpus.rules)} rules in {time.monotonic() - began:.0f} s")
    return 0 if run.share(results) >= GOAL and not run.misplaced(results) else 1


def compare(corpus: Corpus, chosen: Sequence[Mutant]) -> int:
    """Say whether the quick verdicts are those of all rules with whole tests; gives the exit status."""
    results = run.run(corpus, chosen)
    with tempfile.TemporaryDirectory() as folder:
        slow = [run.noticed_by_all_rules(corpus, mutant, Path(folder)) for mutant in chosen]
    other = [one.mutant for one, killed in zip(results, slow, strict=True) if one.killed != killed]
    for mutant in other:
        say(f"another verdict among all rules: {mutant.rule.name}: {mutant.change}")
    say(f"{len(chosen) - len(other)} of {len(chosen)} verdicts are those of all rules; {sum(slow)} killed")
    return 1 if other else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
