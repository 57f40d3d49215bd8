"""Looks for targets where the probe file says, now and then, and tells how that goes.

Knows sources, time and a thread of its own; what is found goes to whoever
probes, who may refuse it. Trouble keeps what was found before, and is logged
when it begins, changes or ends.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import Sample
from natobs.errors import NatobsError
from natobs.probe_config import Prober
from natobs.probes.sources import Found, Reader, Source, reader_of

logger = logging.getLogger(__name__)

_END_SECONDS = 2.0
_MOST_TEXT = 500

Accept = Callable[[Source, tuple[str, ...]], None]
"""Takes what a source holds now; raises NatobsError where it cannot be probed, and then nothing changes."""


@dataclass(slots=True, eq=False)
class _Watched:
    source: Source
    reader: Reader
    accepted: tuple[str, ...] = ()
    looked: bool = False
    problem: str = ""
    failures: int = 0
    good_at: float | None = None


class Discovery:
    """Watches sources, between :meth:`start` and :meth:`stop`.

    Args:
        accept: called with what was found when that has changed.
        open_reader: makes what looks at a source; tests bring their own.
    """

    def __init__(self, accept: Accept, open_reader: Callable[[Source], Reader] = reader_of) -> None:
        self._accept = accept
        self._open_reader = open_reader
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._watched: dict[Source, _Watched] = {}
        self._prober = Prober()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def watch(self, sources: Sequence[Source], prober: Prober) -> None:
        """Watch these from now on, and look at once; a source that stays keeps what was found, and its counters."""
        with self._lock:
            old, self._watched, self._prober = self._watched, {}, prober
            for source in sources:
                self._watched[source] = old.get(source) or _Watched(source, self._open_reader(source))
                self._watched[source].reader.adjust(prober)
        self._wake.set()

    def start(self) -> None:
        """Look now, and then every ``prober.discovery_seconds``; once, and not after :meth:`stop`. From any thread."""
        with self._lock:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="natobs-discovery", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End; a look under way is abandoned. From any thread."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        self._wake.set()
        self.abandon()
        if thread is not None:
            thread.join(_END_SECONDS)
            if thread.is_alive():
                logger.warning("the thread that looks for targets has not ended within %g s", _END_SECONDS)

    def abandon(self) -> None:
        """Have a look under way fail, and every later one that has to wait for somebody; from any thread."""
        with self._lock:
            watched = list(self._watched.values())
        for one in watched:
            one.reader.abandon()

    @property
    def good(self) -> bool:
        """Whether the latest look at each source was good."""
        with self._lock:
            return all(one.looked and not one.problem for one in self._watched.values())

    def look(self) -> None:
        """Look at every source once, those on this host first."""
        with self._looking:
            with self._lock:
                watched = sorted(self._watched.values(), key=lambda one: one.source.medium)
            for one in watched:
                if not self._stopping:
                    self._look(one)

    def samples(self) -> list[Sample]:
        """How the looks fare."""
        with self._lock:
            watched = list(self._watched.values())
        found: list[Sample] = []
        for one in watched:
            labels = (one.source.probe, one.source.medium)
            found.append(metric.DISCOVERY_FAILURES.sample(one.failures, *labels))
            if one.looked:
                found.append(metric.DISCOVERY_SUCCESS.sample(not one.problem, *labels))
            if one.good_at is not None:
                found.append(metric.DISCOVERY_TIMESTAMP.sample(one.good_at, *labels))
        return found

    def _run(self) -> None:
        while True:
            self._wake.clear()
            if self._stopping:  # looked at after clearing: else what stop() has set would be cleared, and slept through
                return
            self.look()
            self._wake.wait(self._prober.discovery_seconds)

    def _look(self, one: _Watched) -> None:
        try:
            found = one.reader.read()
        except Exception as error:
            logger.exception("targets of probe %s: a fault while looking for them", one.source.probe)
            found = Found(one.accepted, f"{type(error).__name__}")
        if self._stopping:
            return
        problem = found.problem
        if found.targets != one.accepted:
            try:
                self._accept(one.source, found.targets)
                one.accepted = found.targets
            except NatobsError as error:
                problem = problem or str(error)
        self._note(one, "".join(letter if letter.isprintable() else " " for letter in problem[:_MOST_TEXT]))

    def _note(self, one: _Watched, problem: str) -> None:
        name, count = one.source.probe, len(one.accepted)
        if problem:
            one.failures += 1
            if problem != one.problem:
                logger.warning("targets of probe %s: %s; going on with the %d that were known", name, problem, count)
        else:
            one.good_at = time.time()
            if one.problem or not one.looked:
                logger.info("targets of probe %s: %d found", name, count)
        one.problem, one.looked = problem, True
