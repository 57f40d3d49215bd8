"""When an alert fires, as a pure function of when its condition holds: ``for`` and ``keep_firing_for``.

Source: ``AlertingRule.Eval`` of Prometheus 2.42, rules/alerting.go.
"""

import operator
from collections.abc import Callable, Sequence

from natobs.generate.scenarios.model import Values

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_DIGITS = 12
"""Averages of equal numbers are these numbers."""


def holds(values: Values, compare: str, threshold: float) -> list[bool]:
    """At which evaluations a value is beyond a threshold; one that is missing is not."""
    beyond = COMPARE[compare]
    return [value is not None and beyond(round(value, _DIGITS), threshold) for value in values]


def fires(active: Sequence[bool], step: int, hold: int, keep: int) -> list[bool]:
    """At which evaluations the alert fires.

    Args:
        active: at which its condition holds.
        step: seconds between two evaluations.
        hold: seconds that it must hold.
        keep: seconds that the alert goes on afterwards.
    """
    found: list[bool] = []
    began: int | None = None
    ended: int | None = None
    firing = False
    for index, holds_now in enumerate(active):
        now = index * step
        if holds_now:
            began, ended = now if began is None else began, None
            firing = firing or now - began >= hold
        else:
            ended = now if ended is None else ended
            if not firing or now - ended >= keep:
                began, ended, firing = None, None, False
        found.append(firing)
    return found


def turns(states: Sequence[bool]) -> set[int]:
    """The evaluations right before and right after each change."""
    changed = [index for index in range(1, len(states)) if states[index] != states[index - 1]]
    return {place for index in changed for place in (index - 1, index)}
