"""When to probe which target. Pure: it is told the time, and knows no sockets.

Every target keeps its own beat (isochronous, with a phase of its own), the
beats of one interval are spread over it, the total never exceeds the rate by
more than a short burst, and after a suspension the beats that were missed are
skipped rather than made up for (RFC 2330, section 11, on why probes must not
synchronise).
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from natobs.errors import ConfigError

BURST_SECONDS = 0.05
"""What falls due together is sent together, up to so many seconds' worth of the rate: in any span of time there are at
most the span and this, times the rate."""


@dataclass(frozen=True, slots=True, order=True)
class Due:
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
        intervals: seconds between the first attempts at each target.
        rate: attempts a second over all targets, retries included.
        start: now; the first beats fall into the first interval after it.
        chance: where phases come from.

    Raises:
        ConfigError: the first attempts alone exceed the rate.
    """

    intervals: Sequence[float]
    rate: float
    start: float
    chance: random.Random = field(default_factory=random.Random)
    skipped: int = 0
    _heap: list[Due] = field(default_factory=list)
    _tokens: float = 0.0
    _refilled: float = 0.0

    def __post_init__(self) -> None:
        needed = sum(1 / interval for interval in self.intervals)
        if needed > self.rate:
            raise ConfigError(f"the probes make {needed:.1f} attempts a second; prober.max_rate allows {self.rate:g}")
        groups: dict[float, list[int]] = {}
        for target, interval in enumerate(self.intervals):
            groups.setdefault(interval, []).append(target)
        for interval, targets in groups.items():
            self.chance.shuffle(targets)
            for place, target in enumerate(targets):
                phase = (place + self.chance.random()) / len(targets)
                self._heap.append(Due(self.start + phase * interval, target))
        heapq.heapify(self._heap)
        self._tokens, self._refilled = self._most_tokens, self.start

    @property
    def next_time(self) -> float:
        """When the next attempt is due; infinity without targets."""
        return self._heap[0].time if self._heap else float("inf")

    def due(self, now: float) -> list[Due]:
        """The attempts to begin now, in the order in which they were planned; each target's next beat is planned.

        What the rate does not allow now stays due.
        """
        self._refill(now)
        begun: list[Due] = []
        while self._heap and self._heap[0].time <= now and self._tokens >= 1:
            attempt = heapq.heappop(self._heap)
            if attempt.number == 0:
                interval = self.intervals[attempt.target]
                missed = int((now - attempt.time) // interval)
                self.skipped += missed
                heapq.heappush(self._heap, Due(attempt.time + (missed + 1) * interval, attempt.target))
                if missed:
                    continue  # a suspension: the next beat keeps its phase, and nothing is made up for
            self._tokens -= 1
            begun.append(attempt)
        return begun

    def again(self, target: int, number: int, time: float) -> None:
        """Plan a retry."""
        heapq.heappush(self._heap, Due(time, target, number))

    @property
    def _most_tokens(self) -> float:
        return max(1.0, self.rate * BURST_SECONDS)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._most_tokens, self._tokens + max(0.0, now - self._refilled) * self.rate)
        self._refilled = now
