"""``make mutants``: every mutant of the committed rules; exit status 1 when too many live.

Example: ``python -m tests.mutation --rule NatTableFull``.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation import run
from tests.mutation.corpus import load
from tests.promtool import ROOT

GOAL = 0.95


def main() -> int:
    """Run, and print the table; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", action="append", help="only mutants of this rule; may be repeated")
    asked = parser.parse_args()
    began = time.monotonic()
    corpus = load(ROOT / "alerts")
    with tempfile.TemporaryDirectory() as folder:
        wrong = corpus.failures(corpus.tests, Path(folder))
    if wrong:
        say(f"a test fails without any mutant: {wrong}")
        return 1
    say(f"{len(corpus.tests)} tests pass without mutants, after {time.monotonic() - began:.0f} s")
    chosen = [one for one in run.all_mutants(corpus) if not asked.rule or one.rule.name in asked.rule]
    if not chosen:
        say("no mutant: is that the name of a rule?")
        return 1
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {len(chosen)}")

    results = run.run(corpus, chosen, tick)
    for line in run.table(results):
        say(line)
    say(f"{len(chosen)} mutants of {len(corpus.rules)} rules in {time.monotonic() - began:.0f} s")
    return 0 if run.share(results) >= GOAL else 1


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
