"""When to probe which target. Pure: it is told the time, and knows no sockets.

Every target keeps its own beat (isochronous, with a phase of its own), the
beats of one interval are spread over it, the total never exceeds the rate by
more than a short burst, and after a suspension the beats that were missed are
skipped rather than made up for (RFC 2330, section 11, on why probes must not
synchronise). First attempts go before retries: where everything fails at once,
retries may be more than the rate allows, and beats that waited behind them
would be skipped, those of short intervals always.
"""

import heapq
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple

from natobs.errors import ConfigError

BURST_SECONDS = 0.05
"""What falls due together is sent together, up to so many seconds' worth of the rate and one attempt: in any span of
time there are at most the span and this, times the rate, and one. Without the one, a rate of 20 a second would lose
what is saved up between two looks at the plan."""
_FEW = 1000
"""Overtaken retries are swept away when there are so many more of them than of those that are still wanted."""


class Due(NamedTuple):
    """An attempt that is due.

    Args:
        time: when it was planned.
        target: index of the target.
        number: 0 for a first attempt, 1 and up for retries.
    """

    time: float
    target: int
    number: int = 0


@dataclass(slots=True)
class Plan:
    """The beats of all targets.

    Args:
        intervals: seconds between the first attempts at each target, whose index is its place in this.
        rate: attempts a second over all targets, retries included.
        start: now; the first beats fall into the first interval after it.
        chance: where phases come from, and the order within a pair.
        skipped: beats that were skipped after suspensions, and by who makes the attempts.
        paired: indexes of targets whose first attempts are two: each takes the rate of two.

    Raises:
        ConfigError: the first attempts alone exceed the rate.
    """

    intervals: InitVar[Sequence[float]]
    rate: float
    start: float
    chance: random.Random = field(default_factory=random.Random)
    skipped: int = 0
    paired: set[int] = field(default_factory=set)
    _intervals: dict[int, float] = field(default_factory=dict)
    _firsts: list[Due] = field(default_factory=list)
    _retries: list[Due] = field(default_factory=list)
    """With those that are wanted no more."""
    _wanted: dict[int, Due] = field(default_factory=dict)
    """The retry that a target waits for."""
    _tokens: float = 0.0
    _refilled: float = 0.0

    def __post_init__(self, intervals: Sequence[float]) -> None:
        check_rate(intervals, self.rate)
        self._add(dict(enumerate(intervals)), self.start)
        self._tokens, self._refilled = self._most_tokens, self.start

    @property
    def next_time(self) -> float:
        """When the next attempt is due; infinity without targets."""
        return min((waiting[0].time for waiting in (self._firsts, self._retries) if waiting), default=float("inf"))

    def due(self, now: float) -> list[Due]:
        """The attempts to begin now, first ones in the order in which they were planned, and then retries likewise.

        Each target's next beat is planned. What the rate does not allow now stays due, but for a retry that the next
        first attempt at its target overtakes: that one is left out.
        """
        self._refill(now)
        begun: list[Due] = []
        while self._tokens >= 1 and (attempt := self._next_first(now) or self._next_retry(now)) is not None:
            self._tokens -= 2 if not attempt.number and attempt.target in self.paired else 1
            begun.append(attempt)
        return begun

    def _next_first(self, now: float) -> Due | None:
        while self._firsts and self._firsts[0].time <= now:
            attempt = heapq.heappop(self._firsts)
            interval = self._intervals.get(attempt.target)
            if interval is None:
                return attempt
            missed = int((now - attempt.time) // interval)
            self.skipped += missed
            heapq.heappush(self._firsts, Due(attempt.time + (missed + 1) * interval, attempt.target))
            if not missed:  # else a suspension: the next beat keeps its phase, and nothing is made up for
                self._wanted.pop(attempt.target, None)
                return attempt
        return None

    def _next_retry(self, now: float) -> Due | None:
        while self._retries and self._retries[0].time <= now:
            attempt = heapq.heappop(self._retries)
            if self._wanted.get(attempt.target) is attempt:
                del self._wanted[attempt.target]
                return attempt
        return None

    def change(self, removed: Collection[int], added: Mapping[int, float], now: float) -> None:
        """Forget some targets and take others in; those that stay keep their beats and their retries.

        Args:
            removed: indexes of targets.
            added: indexes that were never in use, to the seconds between first attempts; the rate is the caller's
                affair, see :func:`check_rate`.
            now: the first beats of new targets fall into the first interval after it.
        """
        if removed:
            self._firsts = [due for due in self._firsts if due.target not in removed]
            for target in removed:
                self._intervals.pop(target, None)
                self._wanted.pop(target, None)
        self._add(added, now)

    def again(self, target: int, number: int, time: float) -> None:
        """Plan one attempt beside the beats: a retry, or the only one of a target that has no beats."""
        attempt = Due(time, target, number)
        if not number:
            heapq.heappush(self._firsts, attempt)
            return
        self._wanted[target] = attempt
        if len(self._retries) > 2 * len(self._wanted) + _FEW:
            self._retries = list(self._wanted.values())
            heapq.heapify(self._retries)
        else:
            heapq.heappush(self._retries, attempt)

    def _add(self, added: Mapping[int, float], now: float) -> None:
        """Spread the beats of new targets over their intervals."""
        self._intervals.update(added)
        groups: dict[float, list[int]] = {}
        for target, interval in added.items():
            groups.setdefault(interval, []).append(target)
        for interval, targets in groups.items():
            self.chance.shuffle(targets)
            for place, target in enumerate(targets):
                phase = (place + self.chance.random()) / len(targets)
                self._firsts.append(Due(now + phase * interval, target))
        heapq.heapify(self._firsts)

    @property
    def _most_tokens(self) -> float:
        return 1.0 + self.rate * BURST_SECONDS

    def _refill(self, now: float) -> None:
        self._tokens = min(self._most_tokens, self._tokens + max(0.0, now - self._refilled) * self.rate)
        self._refilled = now


def check_rate(intervals: Iterable[float], rate: float) -> None:
    """Whether first attempts alone stay within the rate.

    Raises:
        ConfigError: they do not.
    """
    needed = sum(1 / interval for interval in intervals)
    if needed > rate:
        raise ConfigError(f"the probes make {needed:.1f} attempts a second; prober.max_rate allows {rate:g}")
