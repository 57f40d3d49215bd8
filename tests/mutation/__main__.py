"""``make mutants``: every mutant of the committed rules; exit status 1 when too many live.

Example: ``python -m tests.mutation --rule NatTableFull``.
"""

import argparse
import sys
import time

from tests.mutation import run
from tests.mutation.corpus import load
from tests.promtool import ROOT

GOAL = 0.95


def main() -> int:
    """Run, and print the table; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", action="append", help="only mutants of this rule; may be repeated")
    parser.add_argument("--jobs", type=int, default=run.JOBS, help="rules at a time (%(default)s)")
    asked = parser.parse_args()
    began = time.monotonic()
    corpus = load(ROOT / "alerts")
    chosen = [one for one in run.all_mutants(corpus) if not asked.rule or one.rule.name in asked.rule]
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


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
