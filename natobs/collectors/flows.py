"""The flow census: who fills the connection tracking table, towards whom, and which ports run out.

The background thread orders a census from a process of its own when one is due,
and looks now and then whether it is ready; a scrape exports the latest and never
waits. Knows when a census is due and which of two to show; refuses to know how
one is taken.

What is shown: the latest census, complete or not, except that one which saw a
part of the table only (``timeout``, ``overrun``) does not replace one that saw
all of it, while that is fresh enough to be shown.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

import natobs
from natobs.catalogue.metrics import flows as metric
from natobs.catalogue.types import Sample
from natobs.collectors.base import Gap, Reading
from natobs.config import Census as Settings
from natobs.config import Nat
from natobs.errors import CatalogueError, FormatError, KernelError, UnavailableError
from natobs.kernel import flow_figures, flow_worker
from natobs.kernel.flow_results import OTHER, Figures
from natobs.kernel.machine import Computed, Machine
from natobs.kernel.worker import Worker, failed

QUESTION = "census"
"""Names the census in recordings."""
_PERIODS_SHOWN = 3
_GRACE_SECONDS = 15.0
"""For the interpreter to start on a busy machine, before the process is killed."""
MOST_LISTED = 500
"""Rows of each ranking that a census brings, of which ``census.top`` are exported."""
_PARTIAL = frozenset({"timeout", "overrun"})
_PROTOCOLS = frozenset(metric.PROTOCOLS)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""numpy's linear algebra, which nobody here uses, otherwise starts a thread for each CPU."""


def census_process() -> Worker:
    """The process that takes a census: this very natobs, whatever is in the current directory (-P)."""
    path = os.pathsep.join(filter(None, [str(Path(natobs.__file__).parent.parent), os.environ.get("PYTHONPATH")]))
    argv = [sys.executable, "-P", "-m", "natobs", "census", "--worker"]
    return Worker(argv, {**ONE_THREAD, "PYTHONPATH": path})


@dataclass(frozen=True, slots=True)
class _Shown:
    """The census that is exported.

    Args:
        began: when, on the clock of the collector.
        partial: whether it saw a part of the table only.
        samples: its figures.
    """

    began: float
    partial: bool
    samples: list[Sample]


class FlowsCollector:
    """Takes a census at intervals and exports the latest.

    Args:
        census: when, how much, and whose flows are counted apart.
        nat: whose prefixes tell who is a private host.
        clock: monotonic, in seconds.
        worker: the process that takes a census.
    """

    name = "flows"
    metrics = (
        *(metric.FLOWS, metric.TRANSLATED, metric.UNANSWERED, metric.UNANSWERED_RATIO, metric.HOSTS),
        *(metric.DESTINATIONS, metric.HOST_FLOWS, metric.HOST_UNANSWERED, metric.HOST_CHANGE),
        *(metric.DESTINATION_FLOWS, metric.TENANT_FLOWS, metric.PORTS_IN_USE, metric.RANGE_SIZE),
        *(metric.DESTINATION_PORTS, metric.DESTINATION_RECLAIMABLE, metric.SATURATION, metric.DURATION),
        *(metric.CPU, metric.MEMORY, metric.TIMESTAMP, metric.AGE, metric.PERIOD, metric.COMPLETE),
        *(metric.ATTEMPTS, metric.CENSUSES),
    )
    tick_seconds = 0.25

    def __init__(
        self,
        census: Settings,
        nat: Nat,
        clock: Callable[[], float] = time.monotonic,
        worker: Worker | None = None,
    ) -> None:
        self._settings = census
        self._clock = clock
        self._worker = worker or census_process()
        self._order = msgspec.json.encode(order_of(census, nat, max(MOST_LISTED, census.top)))
        self._lock = threading.Lock()
        self._question = Computed(QUESTION, self._fetch)
        self._running = False
        self._due = self._began = clock()
        self._cpu = 0.0
        self._run_cpu = 0.0
        self._results = dict.fromkeys(metric.RESULTS, 0)
        self._complete = False
        self._gap: Gap | None = Gap("absent", "flow census: the first one is under way")
        self._shown: _Shown | None = None
        self._latest: list[Sample] = []
        self._hosts: flow_figures.Hosts | None = None
        if not census.enabled:
            self._gap = Gap("absent", "flow census: switched off (census.enabled)")

    def tick(self, machine: Machine) -> None:
        """Begin a census when one is due, and take it when it is ready."""
        now = self._clock()
        if not self._settings.enabled or (not self._running and now < self._due):
            return
        if not self._running:
            self._began, self._run_cpu = now, 0.0
        try:
            answer = flow_worker.parse(machine.ask(self._question))
            if isinstance(answer, flow_worker.Refusal):
                raise UnavailableError(answer.reason, answer.detail)
            samples = samples_of(answer, self._settings)
        except KernelError as error:
            if not self._running:
                self._fail(error)
        else:
            self._take(answer, samples)

    def collect(self, machine: Machine) -> Reading:
        """The latest census, and how it went; nothing is asked."""
        reading = Reading()
        now = self._clock()
        with self._lock:
            if self._gap is not None:
                reading.gaps.append(self._gap)
            if any(self._results.values()):
                reading.add(metric.CPU, self._cpu)
                reading.add(metric.COMPLETE, self._complete)
                reading.add(metric.PERIOD, self._period())
                for result, count in self._results.items():
                    reading.add(metric.CENSUSES, count, result)
            if self._shown is not None and self._fresh(self._shown, now):
                reading.samples += self._latest
                reading.samples += self._shown.samples
                reading.add(metric.AGE, now - self._shown.began)
            elif self._shown is not None and self._gap is None:
                age = now - self._shown.began
                reading.gaps.append(Gap("timeout", f"flow census: the latest is {age:.0f} s old, too old to be shown"))
        return reading

    def close(self) -> None:
        """End a census that is under way."""
        self._worker.stop()

    def _fetch(self) -> bytes:
        """What the process wrote; begins one when none runs.

        Raises:
            UnavailableError: it is not ready yet (then ``_running`` is true), or failed.
        """
        if not self._running:
            self._worker.start(self._order, self._settings.limit_seconds + _GRACE_SECONDS)
            self._running = True
        ended = self._worker.poll()
        if ended is None:
            raise UnavailableError("absent", "flow census: under way")
        self._running = False
        self._run_cpu = ended.cpu_seconds
        if ended.trouble:
            raise failed("flow census: the process", ended)
        return ended.output

    def _fail(self, error: KernelError) -> None:
        with self._lock:
            self._gap = Gap(error.reason, str(error))
            self._cpu += self._run_cpu
            # A machine without a table, or one that refuses, was asked and has answered: no census has failed.
            if error.reason in ("error", "format"):
                self._results["failed"] += 1
                self._complete = False
            self._due = self._began + self._period()

    def _take(self, answer: flow_worker.Answer, samples: list[Sample]) -> None:
        taking = answer.census.taking
        partial = taking.reason in _PARTIAL
        before, self._hosts = self._hosts, None if partial else flow_figures.hosts_of(answer.census.figures)
        if before is not None and self._hosts is not None:
            changes = flow_figures.growth(before, self._hosts, self._settings.top)
            samples += [metric.HOST_CHANGE.sample(change, host) for host, change in changes.items()]
        with self._lock:
            self._gap = None
            # On a recorded machine nothing ran; the figure is that of the machine that was recorded.
            self._run_cpu = self._run_cpu or taking.cpu_seconds
            self._cpu += self._run_cpu
            self._results[taking.reason or "complete"] += 1
            self._complete = taking.complete
            self._due = self._began + self._period()
            self._latest = [
                metric.DURATION.sample(taking.seconds),
                metric.ATTEMPTS.sample(taking.attempts),
                *([metric.MEMORY.sample(answer.memory_bytes)] if answer.memory_bytes else []),
            ]
            if partial and self._shown and not self._shown.partial and self._fresh(self._shown, self._clock()):
                return
            self._shown = _Shown(self._began, partial, samples)

    def _period(self) -> float:
        return max(self._settings.interval_seconds, self._run_cpu / self._settings.max_cpu_share)

    def _fresh(self, shown: _Shown, now: float) -> bool:
        return now - shown.began < _PERIODS_SHOWN * self._period()


def order_of(census: Settings, nat: Nat, listed: int) -> flow_worker.Order:
    """What a census has to look for.

    Args:
        census: tenants, and the time limit.
        nat: prefixes of the private hosts.
        listed: rows of each ranking.
    """
    tenants = tuple(
        flow_worker.TenantOrder(name, tuple(map(str, tenant.prefixes)), tenant.marks)
        for name, tenant in census.tenants.items()
    )
    return flow_worker.Order(tuple(map(str, nat.inside)), tenants, listed, census.limit_seconds)


def samples_of(answer: flow_worker.Answer, settings: Settings) -> list[Sample]:
    """The figures of a census, as many of each kind as the configuration says.

    Raises:
        FormatError: no table has such figures; that of a recorded machine may hold anything.
    """
    try:
        return _samples(answer, settings)
    except (CatalogueError, ArithmeticError) as error:
        raise FormatError(f"flow census: figures that cannot be: {error}") from error


def _samples(answer: flow_worker.Answer, settings: Settings) -> list[Sample]:
    figures, top = answer.census.figures, settings.top
    totals = figures.totals
    found = [
        metric.TIMESTAMP.sample(answer.time),
        metric.TRANSLATED.sample(totals.translated),
        metric.UNANSWERED.sample(totals.unanswered),
        metric.HOSTS.sample(figures.hosts.distinct),
        metric.DESTINATIONS.sample(figures.destinations.distinct),
    ]
    if totals.flows:
        found.append(metric.UNANSWERED_RATIO.sample(totals.unanswered / totals.flows))
    states: dict[tuple[str, str], int] = {}
    for row in figures.states:
        state = (_proto(row.proto), row.state)
        states[state] = states.get(state, 0) + row.flows
    found += [metric.FLOWS.sample(flows, *state) for state, flows in states.items()]
    by_flows, by_unanswered = (flow_figures.top_hosts(figures, top, by) for by in ("flows", "unanswered"))
    found += [metric.HOST_FLOWS.sample(flows, host) for host, flows in by_flows.items()]
    found += [metric.HOST_UNANSWERED.sample(flows, host) for host, flows in by_unanswered.items()]
    found += _destinations(figures, top)
    found += [metric.TENANT_FLOWS.sample(tenant.flows, tenant.name) for tenant in figures.tenants]
    return found + _ports(answer, settings)


def _destinations(figures: Figures, top: int) -> list[Sample]:
    rows, rest = flow_figures.top_destinations(figures, top)
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.address, str(row.port), _proto(row.proto))
        counts[key] = counts.get(key, 0) + row.flows
    counts[OTHER, OTHER, OTHER] = rest
    return [metric.DESTINATION_FLOWS.sample(flows, *key) for key, flows in counts.items()]


def _ports(answer: flow_worker.Answer, settings: Settings) -> list[Sample]:
    found: list[Sample] = []
    for share in flow_figures.pools(answer, settings.snat_ports, metric.MOST_POOLS):
        labels = (share.pool.address, share.pool.proto)
        found.append(metric.PORTS_IN_USE.sample(share.pool.ports, *labels))
        if share.range is not None:
            found.append(metric.RANGE_SIZE.sample(share.range.size, *labels, share.range.source))
        if share.saturation is not None:
            found.append(metric.SATURATION.sample(share.saturation, *labels))
    for row in flow_figures.tuples(answer, settings.snat_ports, settings.top):
        use = (row.use.snat_address, row.use.proto, row.use.address, str(row.use.port))
        found.append(metric.DESTINATION_PORTS.sample(row.use.held, *use))
        found.append(metric.DESTINATION_RECLAIMABLE.sample(row.use.reclaimable, *use))
    return found


def _proto(name: str) -> str:
    """A protocol as a label; conntrack knows a few, and tracks all others alike."""
    return name if name in _PROTOCOLS else OTHER
