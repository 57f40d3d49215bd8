"""Scenarios of alerts on the machine that translates."""

from natobs.catalogue.metrics import host, softnet
from natobs.catalogue.naming import MINUTE
from natobs.generate.scenarios.model import Feed, Scenario, Signal, growing, level
from natobs.generate.scenarios.shapes import highest, mean

_FIVE = 5 * MINUTE
_MEMORY = 1_000_000


def _busy(value: float) -> tuple[Signal, ...]:
    """Two CPUs that are busy with different things, and idle or waiting for the rest."""
    return (
        growing(host.CPU_SECONDS, value, cpu="0", mode="user"),
        growing(host.CPU_SECONDS, 1 - value, cpu="0", mode="idle"),
        growing(host.CPU_SECONDS, value, cpu="1", mode="softirq"),
        growing(host.CPU_SECONDS, 1 - value, cpu="1", mode="iowait"),
    )


def _one_cpu(mode: str) -> Feed:
    """One CPU of two in a mode, the other busy with something else."""
    return lambda value: (
        growing(host.CPU_SECONDS, value, cpu="0", mode=mode),
        growing(host.CPU_SECONDS, 0.09, cpu="1", mode=mode),
        growing(host.CPU_SECONDS, 0.91, cpu="1", mode="user"),
    )


def _pressure(dropped: float, squeezed: float) -> tuple[Signal, ...]:
    return (
        growing(softnet.DROPPED, dropped, cpu="0"),
        growing(softnet.TIMES_SQUEEZED, squeezed, cpu="0"),
        growing(softnet.TIMES_SQUEEZED, 0, cpu="1"),
    )


SCENARIOS = (
    Scenario("NatCpuUsage", mean(_FIVE), {"two CPUs": _busy}, rest=0.1, exact=False),
    Scenario("NatSoftirqSaturated", mean(_FIVE), {"one CPU": _one_cpu("softirq")}, rest=0.12, exact=False),
    Scenario(
        "NatSoftnetPressure",
        mean(_FIVE),
        {
            "squeezed": lambda value: _pressure(0, value),
            "dropped": lambda value: _pressure(value, 0),
            "dropped, of a kernel that does not count the other": lambda value: _pressure(value, 0)[:1],
        },
        exact=False,
    ),
    Scenario("NatCpuSteal", mean(_FIVE), {"one CPU": _one_cpu("steal")}, rest=0.02, exact=False),
    Scenario(
        "NatMemoryLow",
        highest(_FIVE),
        {
            "memory": lambda value: (
                level(host.MEMORY_AVAILABLE, value * _MEMORY),
                level(host.MEMORY_TOTAL, _MEMORY),
            )
        },
        rest=0.52,
    ),
)
