"""Mutants that change nothing: no test can notice what makes no difference. Each has its reason.

They count as neither noticed nor missed, and are printed. One that a test notices
after all has no place here: the run fails.
"""

import re
from typing import NamedTuple

from tests.mutation.mutants import Mutant


class Equivalent(NamedTuple):
    """Some mutants that are right.

    Args:
        rules: expression for the names of their rules.
        change: expression for the change.
        behind: expression for what stands before it.
        reason: why it makes no difference.
    """

    rules: str
    change: str
    behind: str
    reason: str


KNOWN: tuple[Equivalent, ...] = ()


def reason(mutant: Mutant) -> str:
    """Why a mutant makes no difference; empty where it does."""
    for one in KNOWN:
        parts = ((one.rules, mutant.rule.name), (one.change, mutant.change))
        if all(re.fullmatch(*part) for part in parts) and re.search(one.behind, mutant.behind):
            return one.reason
    return ""
