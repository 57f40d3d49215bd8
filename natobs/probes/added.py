"""What the NAT adds to a round trip, as it is exported: the pairs of one target, or of all that share a series.

Joins the two attempts of a pair, and adds up what came of them. Knows attempts
and rows of the catalogue; refuses to know threads and which targets there are.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample
from natobs.probe_config import Compare
from natobs.probes.model import Attempt, Clock
from natobs.probes.paired import Difference, Window
from natobs.probes.series import Histogram, Labels


@dataclass(frozen=True, slots=True)
class AddedRow:
    """What the NAT adds, as a person sees it.

    Args:
        labels: probe, kind, and target unless several share the row.
        difference: of the pairs of the window; None while there is none.
        compare: how it is measured.
        trouble: why the latest pair gave no difference; empty where it gave one.
    """

    labels: Labels
    difference: Difference | None
    compare: Compare
    trouble: str


class Paths:
    """The histograms of both sides, for one label set."""

    def __init__(self) -> None:
        self._through = Histogram(metric.PAIRED_RTT)
        self._direct = Histogram(metric.PAIRED_RTT)

    def add(self, through: Attempt, direct: Attempt, seconds: tuple[float, float]) -> None:
        """Count one measured pair."""
        self._through.add(seconds[0], through)
        self._direct.add(seconds[1], direct)

    def samples(self, labels: Labels) -> Iterator[AnySample]:
        """What has been counted."""
        yield self._through.sample((*labels, "through"))
        yield self._direct.sample((*labels, "direct"))


class Added:
    """The pairs of one label set.

    Args:
        compare: the limit, and how long a pair counts.
    """

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self._window = Window(compare.window_seconds)
        self._measured = 0
        self._good = 0
        self._unmeasured = Counter(dict.fromkeys(metric.UNMEASURED, 0))
        self._trouble = ""
        self._halves: dict[str, Attempt] = {}

    def renew(self, compare: Compare) -> None:
        """Go on by another definition: what was counted stays, pairs of another path do not. Halves are forgotten."""
        self._halves.clear()
        if compare != self._compare:
            self._compare = compare
            self._window = Window(compare.window_seconds)
            self._trouble = ""

    def add(self, attempt: Attempt, now: float, paths: Paths) -> None:
        """Take one side of a pair; with the other the pair is counted.

        Args:
            attempt: it has a pair.
            now: monotonic seconds.
            paths: where both round trips are counted if they were measured.
        """
        other = self._halves.pop(attempt.target.name, None)
        if other is None or other.pair != attempt.pair or other.companion is attempt.companion:
            self._halves[attempt.target.name] = attempt
            return
        through, direct = (other, attempt) if attempt.companion else (attempt, other)
        seconds = _round_trip(through), _round_trip(direct)
        if seconds[0] is None or seconds[1] is None:
            side, self._trouble = _explain(through, direct)
            self._unmeasured[side] += 1
            return
        self._trouble = ""
        self._measured += 1
        self._good += seconds[0] - seconds[1] <= self._compare.limit_seconds
        self._window.add(now, seconds[0], seconds[1])
        paths.add(through, direct, (seconds[0], seconds[1]))

    def row(self, labels: Labels, now: float) -> AddedRow:
        """What a person sees."""
        return AddedRow(labels, self._window.difference(now), self._compare, self._trouble)

    def samples(self, labels: Labels, now: float) -> Iterator[AnySample]:
        """What is known; a difference that is not known is absent."""
        yield metric.ADDED_RTT_MEASURED.sample(self._measured, *labels)
        yield metric.ADDED_RTT_GOOD.sample(self._good, *labels)
        for side, count in self._unmeasured.items():
            yield metric.ADDED_RTT_UNMEASURED.sample(count, *labels, side)
        difference = self._window.difference(now)
        yield metric.ADDED_RTT_PAIRS.sample(difference.pairs if difference else 0, *labels)
        if difference is None:
            return
        yield metric.ADDED_RTT.sample(difference.median, *labels, "median")
        yield metric.ADDED_RTT.sample(difference.floor, *labels, "floor")
        if difference.low is not None and difference.high is not None:
            yield metric.ADDED_RTT.sample(difference.low, *labels, "median_low")
            yield metric.ADDED_RTT.sample(difference.high, *labels, "median_high")


def _round_trip(attempt: Attempt) -> float | None:
    """By the kernel's clock, of an attempt that succeeded."""
    outcome = attempt.outcome
    return outcome.rtt if outcome.success and outcome.clock is not Clock.USERSPACE else None


def _explain(through: Attempt, direct: Attempt) -> tuple[str, str]:
    """Which side gave no round trip (a value of the label), and why."""
    failed = [side for side in (through, direct) if not side.outcome.success]
    if not failed:
        return "clock", "no round trip by the kernel's clock on one of the two paths"
    side = "both" if len(failed) > 1 else "direct" if failed[0].companion else "through"
    last = failed[-1]
    reason = last.outcome.reason.value if last.outcome.reason else ""
    where = "without the NAT" if last.companion else "through the NAT"
    return side, f"{where}: {last.outcome.detail or reason}"
