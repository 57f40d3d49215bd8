"""The two clocks, read together: whether a round trip between kernel stamps can be believed.

Kernel stamps are CLOCK_REALTIME, which somebody may set; CLOCK_MONOTONIC is
never set, and is slewed together with the other. So their difference is
constant until a step.
"""

import time

import msgspec

STEP_NANOSECONDS = 1_000_000
"""A change of the difference beyond this is a step."""


class Moment(msgspec.Struct, frozen=True):
    """One reading of both clocks.

    Args:
        realtime: nanoseconds since the epoch.
        monotonic: nanoseconds, just before.
        width: nanoseconds that the reading took: the scheduler may have come between.
    """

    realtime: int
    monotonic: int
    width: int


def now() -> Moment:
    """Read both."""
    before = time.monotonic_ns()
    realtime = time.time_ns()
    return Moment(realtime, before, time.monotonic_ns() - before)


def stepped(start: Moment, end: Moment) -> bool:
    """Whether CLOCK_REALTIME was set between two readings, as far as they are sharp enough to tell."""
    change = abs((end.realtime - end.monotonic) - (start.realtime - start.monotonic))
    return change > STEP_NANOSECONDS + start.width + end.width
