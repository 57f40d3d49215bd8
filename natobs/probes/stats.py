"""Adds up what the probes report, for a scrape and for a person; safe between the engine's thread and others.

Knows which targets there are and which of them share a series. Bounded by the
probe file, whatever the network answers.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample
from natobs.probes.history import History, Row
from natobs.probes.model import Attempt, Target
from natobs.probes.series import Counters, Distributions, Labels, distribution_labels_of, labels_of

_LAG_SLOT_SECONDS = 5
_LAG_SLOTS = 13
"""A minute, and the slot under way."""

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Overview:
    """The targets at one time.

    Args:
        rows: the first of them.
        targets: how many there are.
        failing: how many of them failed at their latest attempt.
    """

    rows: list[Row]
    targets: int
    failing: int


class Stats:
    """What has become of the attempts at some targets; implements :class:`natobs.probes.model.Notices`.

    Args:
        targets: those that are probed; what is reported of others is ignored.
        clock: seconds that never go back; tests bring their own.
    """

    def __init__(self, targets: Iterable[Target] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._histories: dict[_Key, History] = {}
        self._counters: dict[Labels, Counters] = {}
        self._distributions: dict[Labels, Distributions] = {}
        self._lags: dict[int, float] = {}
        self.retarget(targets)

    def retarget(self, targets: Iterable[Target]) -> None:
        """Probe these from now on; targets, and series that still have one, keep what they have counted."""
        with self._lock:
            old, self._histories = self._histories, {}
            for target in targets:
                history = old.get(_key(target)) or History(target)
                if history.target.settings.expect != target.settings.expect:
                    history.unexpected = None
                history.target = target
                self._histories[_key(target)] = history
            kept = [history.target for history in self._histories.values()]
            self._counters = {
                labels: self._counters.get(labels) or Counters(labels[1]) for labels in map(labels_of, kept)
            }
            self._distributions = {
                labels: self._distributions.get(labels) or Distributions()
                for labels in map(distribution_labels_of, kept)
            }

    def report(self, attempt: Attempt) -> None:
        """Count an attempt that has ended."""
        observed = attempt.outcome.observed
        if observed is not None:
            self.observed(attempt.target, observed[0])
        now = self._clock()
        with self._lock:
            history = self._histories.get(_key(attempt.target))
            if history is None:
                return
            history.add(attempt, now)
            self._counters[labels_of(history.target)].add(attempt)
            self._distributions[distribution_labels_of(history.target)].add(attempt)
            slot = int(now // _LAG_SLOT_SECONDS)
            if slot not in self._lags:
                self._lags = {old: lag for old, lag in self._lags.items() if old > slot - _LAG_SLOTS}
            self._lags[slot] = max(self._lags.get(slot, 0.0), attempt.lag)

    def late(self, target: Target) -> None:
        with self._lock:
            history = self._histories.get(_key(target))
            if history is not None:
                self._counters[labels_of(history.target)].count(metric.LATE)

    def clock_reject(self, target: Target) -> None:
        with self._lock:
            history = self._histories.get(_key(target))
            if history is not None:
                self._counters[labels_of(history.target)].count(metric.CLOCK_REJECTS)

    def observed(self, target: Target, address: str) -> None:
        with self._lock:
            history = self._histories.get(_key(target))
            if history is not None and history.saw(address):
                self._counters[labels_of(history.target)].saw(address)

    def samples(self) -> list[AnySample]:
        """Everything that is known now."""
        with self._lock:
            found = [*self._gauges()]
            for labels, counters in self._counters.items():
                found += counters.samples(labels)
            for labels, distributions in self._distributions.items():
                found += distributions.samples(labels)
            return found

    def overview(self, most: int) -> Overview:
        """Targets as a person sees them: those that fail first, then the critical ones, then by the probe file.

        Args:
            most: how many are looked at closely.
        """
        now = self._clock()
        with self._lock:
            ordered = sorted(self._histories.values(), key=lambda history: (not history.failing, not history.critical))
            failing = sum(history.failing for history in ordered)
            return Overview([history.row(now) for history in ordered[:most]], len(ordered), failing)

    def addresses(self) -> list[tuple[Labels, Sequence[tuple[str, int]]]]:
        """The public addresses of each series' latest observations, the commonest first, with their numbers."""
        with self._lock:
            found = [(labels, counters.addresses.most_common()) for labels, counters in self._counters.items()]
        return [(labels, seen) for labels, seen in found if seen]

    def _gauges(self) -> Iterator[AnySample]:
        by_labels: dict[Labels, list[History]] = {}
        for history in self._histories.values():
            by_labels.setdefault(labels_of(history.target), []).append(history)
        for labels, histories in by_labels.items():
            yield metric.TARGETS.sample(len(histories), *labels)
            mtus = [history.path_mtu for history in histories if history.path_mtu is not None]
            if mtus:
                yield metric.PATH_MTU.sample(min(mtus), *labels)
            expiries = [h.certificate_expiry for h in histories if h.certificate_expiry is not None]
            if expiries:
                yield metric.CERTIFICATE_EXPIRY.sample(min(expiries), *labels)
            unexpected = [history.unexpected for history in histories if history.unexpected is not None]
            if unexpected:
                yield metric.ADDRESS_EXPECTED.sample(not any(unexpected), *labels)
        oldest = int(self._clock() // _LAG_SLOT_SECONDS) - _LAG_SLOTS
        lags = [lag for slot, lag in self._lags.items() if slot > oldest]
        if lags:
            yield metric.SCHEDULE_LAG.sample(max(lags))


def _key(target: Target) -> _Key:
    return target.settings.name, target.settings.kind, target.name
