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


_COUNTED = "a number of series is at least one where there is any"
_ONE_SIDE = "what one operand leaves out, the others find nothing to match with"
_TIME = "only whether a time since 1970 is positive counts, and it is, by far"
_MASK = "the mask is 1 wherever it is"
KNOWN: tuple[Equivalent, ...] = (
    Equivalent("slo:explained:active", "0 -> -1", ">= bool$", "numbers of events are not negative"),
    Equivalent("slo:explained:active", "without sloth_id", "", "the events that it is made of have this label"),
    Equivalent("nat:maintenance:active", "0 -> -?1", "> bool$", _TIME),
    Equivalent("nat:maintenance:active", r"> -> >=|\* -> /", "", _TIME),
    Equivalent("NatMaintenance", "1 -> 0|>= -> <=", "nat:maintenance:active", _MASK),
    Equivalent("NatWatchdog|NatAgentAbsent", "0 -> -1|> -> >=", r"\)( >)?$", _COUNTED),
    Equivalent("NatProbesSilent", "0 -> -1", r"\*$", "what is gone has a number above 0, and is told without it"),
    Equivalent("nat:added_latency:seconds", "0 -> -1|>= -> >", "", "times are above 0; what is left out is NaN"),
    Equivalent("nat:destination_unanswered:ratio5m", 'destination!="other" -> nothing', "", _ONE_SIDE),
    Equivalent("slo:bad:increase5m", 'target=~"\\.\\+" -> nothing', "", _ONE_SIDE),
    Equivalent("nat:egress_bytes:increase1h", r"\* -> /", "", "what tells a device's role is 1"),
)


def reason(mutant: Mutant) -> str:
    """Why a mutant makes no difference; empty where it does."""
    for one in KNOWN:
        parts = ((one.rules, mutant.rule.name), (one.change, mutant.change))
        if all(re.fullmatch(*part) for part in parts) and re.search(one.behind, mutant.behind):
            return one.reason
    return ""
