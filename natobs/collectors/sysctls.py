"""Kernel parameters that bound a NAT.

They change when somebody changes them, so they are read at most every 15 s and
kept in between: forty files cost more than a scrape's other subjects together.
"""

import time
from collections import defaultdict
from collections.abc import Callable

from natobs.catalogue.metrics import sysctls as metric
from natobs.collectors.base import Gap, Reading
from natobs.errors import KernelError
from natobs.kernel import sysctl
from natobs.kernel.machine import Machine

KEEP_SECONDS = 15.0


class SysctlsCollector:
    """One gauge a parameter; those that this machine does not have are named together, in one gap a reason.

    Args:
        clock: seconds that never go back; tests bring their own.
    """

    name = "sysctls"
    metrics = (metric.SYSCTL,)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: tuple[float, Reading] | None = None

    def collect(self, machine: Machine) -> Reading:
        """The values of the last 15 s, or new ones."""
        now = self._clock()
        if self._kept is None or now - self._kept[0] >= KEEP_SECONDS:
            self._kept = now, _read(machine)
        return self._kept[1]


def _read(machine: Machine) -> Reading:
    reading = Reading()
    missing: dict[str, list[str]] = defaultdict(list)
    for name in metric.SYSCTL.labels[0].domain:
        try:
            reading.add(metric.SYSCTL, sysctl.read(machine, name), name)
        except KernelError as error:
            missing[error.reason].append(name)
    reading.gaps += [Gap(reason, f"sysctl: {', '.join(names)}") for reason, names in missing.items()]
    return reading
