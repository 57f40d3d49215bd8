"""``python -m benchmarks.libraries``: natobs' own hot paths against the libraries that could take their place.

Links are read from this machine, both ways over one open socket; the exposition
is of 400 samples in 120 families. CPU time, mean of many runs.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from pyroute2 import IPRoute  # type: ignore[import-untyped]  # pyroute2 has no types
from rich.console import Console
from rich.table import Table

from natobs.catalogue.types import Kind, Label, Metric, Sample
from natobs.exposition.encode import OPENMETRICS, encode
from natobs.kernel import link
from natobs.kernel.live import LiveMachine

_FAMILIES = 120
_SAMPLES = 400


def cpu_ms(work: Callable[[], object], runs: int = 200) -> float:
    """CPU milliseconds of one run."""
    work()
    start = time.process_time()
    for _run in range(runs):
        work()
    return 1e3 * (time.process_time() - start) / runs


def import_cost(module: str) -> tuple[float, float]:
    """Milliseconds and megabytes that importing a module adds to a new interpreter."""
    program = (
        "import time, sys\n"
        "def resident(): return int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "before, start = resident(), time.perf_counter()\n"
        f"import {module}\n"
        "print(1e3 * (time.perf_counter() - start), (resident() - before) / 1e6)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    milliseconds, megabytes = done.stdout.split()
    return float(milliseconds), float(megabytes)


def samples() -> list[Sample]:
    """Counters with one label."""
    label = Label("device", "a device", bound="this benchmark")
    metrics = [
        Metric(f"natobs_bench{number}_total", Kind.COUNTER, "A counter", "nowhere", labels=(label,))
        for number in range(_FAMILIES)
    ]
    return [metrics[number % _FAMILIES].sample(number * 1.5, f"eth{number}") for number in range(_SAMPLES)]


class Families(Collector):
    """The same samples as prometheus_client's families, made anew for each scrape as its collectors do."""

    def __init__(self, values: list[Sample]) -> None:
        self._values = values

    def collect(self) -> list[CounterMetricFamily]:
        """Sort the samples into families."""
        families: dict[Metric, CounterMetricFamily] = {}
        for metric, labels, value in self._values:
            family = families.get(metric)
            if family is None:
                names = list(metric.label_names)
                family = families[metric] = CounterMetricFamily(metric.family, metric.help, labels=names)
            family.add_metric(list(labels), value)
        return list(families.values())


def main() -> None:
    """Print the table, then the same as JSON."""
    machine, values = LiveMachine(), samples()
    registry = CollectorRegistry()
    registry.register(Families(values))
    with IPRoute() as route:
        pairs = {
            "all links, netlink": (
                cpu_ms(lambda: link.read_links(machine)),
                "pyroute2",
                cpu_ms(lambda: list(route.get_links())),
            ),
            "400 samples, text": (
                cpu_ms(lambda: encode(values)),
                "prometheus-client",
                cpu_ms(lambda: generate_latest(registry)),
            ),
            "400 samples, OpenMetrics": (
                cpu_ms(lambda: encode(values, str(OPENMETRICS.name))),
                "prometheus-client",
                cpu_ms(lambda: generate_openmetrics(registry)),  # type: ignore[no-untyped-call]  # so in the library
            ),
        }
    table = Table(title="CPU time of one run")
    for column in ("work", "natobs ms", "library", "library ms", "ratio"):
        table.add_column(column, justify="right" if "ms" in column or column == "ratio" else "left")
    for work, (own, library, theirs) in pairs.items():
        table.add_row(work, f"{own:.2f}", library, f"{theirs:.2f}", f"{theirs / own:.0f}x")
    console = Console(width=100, file=StringIO(), record=True)
    console.print(table)
    sys.stdout.write(console.export_text())
    costs = {module: import_cost(module) for module in ("pyroute2", "prometheus_client")}
    for module, (milliseconds, megabytes) in costs.items():
        sys.stdout.write(f"importing {module}: {milliseconds:.0f} ms, {megabytes:.1f} MB\n")
    sys.stdout.write(json.dumps({"cpu_ms": pairs, "import": costs}) + "\n")


if __name__ == "__main__":
    main()
