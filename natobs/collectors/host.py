"""The machine's CPUs, memory and start, and what the agent itself costs.

Exports what Linux counted and judges nothing: which CPU is saturated is for
rules to say.
"""

import time
from collections.abc import Callable

from natobs.catalogue.metrics import host as metric
from natobs.catalogue.types import Sample
from natobs.collectors.base import Reading
from natobs.kernel import host
from natobs.kernel.machine import Machine

BOOT_TIME_KEEP_SECONDS = 60.0
CORRECTION_SECONDS = 60.0
"""A counter of CPU time that falls by less was corrected by Linux; by more, it began anew."""


class HostCollector:
    """CPU time per CPU and mode, memory, boot time; facts of the whole machine, whatever the network namespace.

    Args:
        clock: seconds that never go back; tests bring their own.
    """

    name = "host"
    metrics = (metric.CPU_SECONDS, metric.BOOT_TIME, metric.MEMORY_TOTAL, metric.MEMORY_AVAILABLE)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._boot: tuple[float, float] | None = None
        self._cpus: dict[tuple[str, str], float] = {}

    def collect(self, machine: Machine) -> Reading:
        """Two or three questions to psutil, and the list of online CPUs."""
        reading = Reading()
        with reading.part():
            self._cpus = {
                labels: self._never_falling(labels, getattr(times, labels[1]))
                for cpu, times in host.read_cpus(machine).items()
                for labels in ((str(cpu), mode) for mode in host.CPU_MODES)
            }
            # Not through Metric.sample: the modes are the domain, and there are eight series a CPU.
            reading.samples += [Sample(metric.CPU_SECONDS, labels, seconds) for labels, seconds in self._cpus.items()]
        with reading.part():
            reading.add(metric.BOOT_TIME, self._boot_time(machine))
        with reading.part():
            memory = host.read_memory(machine)
            reading.add(metric.MEMORY_TOTAL, memory.total)
            reading.add(metric.MEMORY_AVAILABLE, memory.available)
        return reading

    def _never_falling(self, labels: tuple[str, str], seconds: float) -> float:
        """Hold a counter that Linux corrected downwards, which Prometheus would take for a restart of all of it."""
        before = self._cpus.get(labels, 0.0)
        return before if before - CORRECTION_SECONDS < seconds < before else seconds

    def _boot_time(self, machine: Machine) -> float:
        """Kept for a minute: it moves only when the clock is set, and costs as much as the CPUs' times."""
        now = self._clock()
        if self._boot is None or now - self._boot[0] >= BOOT_TIME_KEEP_SECONDS:
            self._boot = now, host.read_boot_time(machine)
        return self._boot[1]


class SelfCollector:
    """The agent's own process."""

    name = "self"
    metrics = (metric.AGENT_CPU_SECONDS, metric.AGENT_RESIDENT_MEMORY, metric.AGENT_OPEN_FDS)

    def collect(self, machine: Machine) -> Reading:
        """One question to psutil."""
        reading = Reading()
        process = host.read_process(machine)
        reading.add(metric.AGENT_CPU_SECONDS, process.cpu_seconds)
        reading.add(metric.AGENT_RESIDENT_MEMORY, process.resident_bytes)
        reading.add(metric.AGENT_OPEN_FDS, process.open_descriptors)
        return reading
