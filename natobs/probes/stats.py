"""Adds up what the probes report, for a scrape and for a person; safe between the engine's thread and others.

Knows which targets there are and which of them share a series. Bounded by the
probe file, whatever the network answers.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample
from natobs.probes.added import Added, AddedRow, Paths
from natobs.probes.history import History, LastHour, Row
from natobs.probes.model import Attempt, PathState, Target
from natobs.probes.series import (
    AccessDistribution,
    Counters,
    Distributions,
    Labels,
    distribution_labels_of,
    labels_of,
)

_LAG_SLOT_SECONDS = 5
_LAG_SLOTS = 13
"""A minute, and the slot under way."""
_STATES = list(PathState)

COUNTED_TOGETHER = 32
"""Attempts that are counted at once, with the code for it in the CPU's caches: a lone probe costs a tenth less CPU."""

_Key = tuple[str, str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overview:
    """The targets at one time.

    Args:
        rows: the first of them.
        targets: how many there are.
        failing: how many of them failed at their latest attempt.
        tried: first attempts of the last hour at all targets but access ones.
        succeeded: those of them that succeeded at once.
    """

    rows: list[Row]
    targets: int
    failing: int
    tried: int
    succeeded: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where attempts at one target are counted."""

    history: History
    counters: Counters
    distributions: Distributions | AccessDistribution
    added: Added | None
    paths: Paths | None


class Stats:
    """What has become of the attempts at some targets; implements :class:`natobs.probes.model.Notices`.

    Args:
        targets: those that are probed; what is reported of others is ignored.
        clock: seconds that never go back; tests bring their own.
    """

    def __init__(self, targets: Iterable[Target] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ended: deque[tuple[Attempt, float]] = deque()
        self._places: dict[_Key, _Place] = {}
        self._counters: dict[Labels, Counters] = {}
        self._distributions: dict[Labels, Distributions] = {}
        self._access: dict[Labels, AccessDistribution] = {}
        self._added: dict[Labels, Added] = {}
        self._paths: dict[Labels, Paths] = {}
        self._lags: dict[int, float] = {}
        self._hour = LastHour()
        self.retarget(targets)

    def retarget(self, targets: Iterable[Target]) -> None:
        """Probe these from now on; targets, and series that still have one, keep what they have counted."""
        with self._counted():
            histories = {_key(target): self._history_of(target) for target in targets}
            kept = [history.target for history in histories.values()]
            self._counters = {labels_of(target): self._counters_of(target) for target in kept}
            outbound = [target for target in kept if not target.settings.access]
            access = [target for target in kept if target.settings.access]
            compared = [target for target in kept if target.settings.compare.active]
            self._distributions = _kept(self._distributions, map(distribution_labels_of, outbound), Distributions)
            self._access = _kept(self._access, map(distribution_labels_of, access), AccessDistribution)
            self._paths = _kept(self._paths, map(distribution_labels_of, compared), Paths)
            self._added = {labels_of(target): self._added_of(target) for target in compared}
            self._places = {key: self._place_of(history) for key, history in histories.items()}

    def _history_of(self, target: Target) -> History:
        place = self._places.get(_key(target))
        history = place.history if place is not None else History(target)
        if history.target.settings.expect != target.settings.expect:
            history.unexpected = None
        history.target = target
        return history

    def _place_of(self, history: History) -> _Place:
        labels, fewer = labels_of(history.target), distribution_labels_of(history.target)
        distributions = self._access[fewer] if history.target.settings.access else self._distributions[fewer]
        return _Place(history, self._counters[labels], distributions, self._added.get(labels), self._paths.get(fewer))

    def _counters_of(self, target: Target) -> Counters:
        old = self._counters.get(labels_of(target))
        return old if old is not None and old.access is target.settings.access else Counters(target.settings)

    def _added_of(self, target: Target) -> Added:
        compare = target.settings.compare
        added = self._added.get(labels_of(target)) or Added(compare)
        added.renew(compare)
        return added

    def report(self, attempt: Attempt) -> None:
        """Take an attempt that has ended; it is counted together with others, or when somebody looks."""
        self._ended.append((attempt, self._clock()))
        if len(self._ended) >= COUNTED_TOGETHER:
            with self._lock:
                self._count_all()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Hold the lock, with all attempts counted that have ended so far."""
        with self._lock:
            self._count_all()
            yield

    def _count_all(self) -> None:
        while self._ended:
            self._count(*self._ended.popleft())

    def _count(self, attempt: Attempt, now: float) -> None:
        place = self._places.get(_key(attempt.target))
        if place is None:
            return
        if attempt.pair and place.added is not None and place.paths is not None:
            place.added.add(attempt, now, place.paths)
        if attempt.companion:
            return
        observed = attempt.outcome.observed
        if observed is not None and place.history.saw(observed[0]):
            place.counters.saw(observed[0])
        place.history.add(attempt, now)
        if not place.counters.access:
            self._hour.add(attempt, now)
        place.counters.add(attempt)
        place.distributions.add(attempt)
        if not attempt.number:  # retries make do with what first attempts leave of the rate
            self._note_lag(attempt.lag, int(now // _LAG_SLOT_SECONDS))

    def _note_lag(self, lag: float, slot: int) -> None:
        greatest = self._lags.get(slot)
        if greatest is None:
            self._lags = {old: value for old, value in self._lags.items() if old > slot - _LAG_SLOTS}
        if greatest is None or lag > greatest:
            self._lags[slot] = lag

    def late(self, target: Target) -> None:
        with self._counted():
            place = self._places.get(_key(target))
            if place is not None:
                place.counters.count(metric.LATE)

    def clock_reject(self, target: Target) -> None:
        with self._counted():
            place = self._places.get(_key(target))
            if place is not None:
                place.counters.count(metric.CLOCK_REJECTS)

    def observed(self, target: Target, address: str) -> None:
        with self._counted():
            place = self._places.get(_key(target))
            if place is not None and place.history.saw(address):
                place.counters.saw(address)

    def samples(self) -> list[AnySample]:
        """Everything that is known now."""
        with self._counted():
            found = [*self._gauges()]
            for labels, counters in self._counters.items():
                found += counters.samples(labels)
            for histograms in (self._distributions, self._access, self._paths):
                for labels, distributions in histograms.items():
                    found += distributions.samples(labels)
            now = self._clock()
            for labels, added in self._added.items():
                found += added.samples(labels, now)
            return found

    def added(self) -> list[AddedRow]:
        """How much time the NAT adds, for each series of targets that are compared."""
        now = self._clock()
        with self._counted():
            return [added.row(labels, now) for labels, added in self._added.items()]

    def overview(self, most: int) -> Overview:
        """Targets as a person sees them: those that fail first, then the critical ones, then by the probe file.

        Args:
            most: how many are looked at closely.
        """
        now = self._clock()
        with self._counted():
            histories = [place.history for place in self._places.values()]
            ordered = sorted(histories, key=lambda history: (not history.failing, not history.critical))
            failing = sum(history.failing for history in ordered)
            rows = [history.row(now) for history in ordered[:most]]
            return Overview(rows, len(ordered), failing, *self._hour.sums(now))

    def addresses(self) -> list[tuple[Labels, Sequence[tuple[str, int]]]]:
        """The public addresses of each series' latest observations, the commonest first, with their numbers."""
        with self._counted():
            found = [(labels, counters.addresses.most_common()) for labels, counters in self._counters.items()]
        return [(labels, seen) for labels, seen in found if seen]

    def _gauges(self) -> Iterator[AnySample]:
        by_labels: dict[Labels, list[History]] = {}
        for place in self._places.values():
            by_labels.setdefault(labels_of(place.history.target), []).append(place.history)
        for labels, histories in by_labels.items():
            yield metric.TARGETS.sample(len(histories), *labels)
            states = [history.path_state for history in histories if history.path_state is not None]
            if states:
                worst = max(states, key=_STATES.index)
                yield from (metric.PATH_MTU_STATE.sample(state is worst, *labels, state.value) for state in _STATES)
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


def _kept(old: Mapping[Labels, T], wanted: Iterable[Labels], make: Callable[[], T]) -> dict[Labels, T]:
    """Those of the old that are wanted, and new ones for the others."""
    return {labels: old[labels] if labels in old else make() for labels in wanted}


def _key(target: Target) -> _Key:
    return target.settings.name, target.settings.kind, target.name
