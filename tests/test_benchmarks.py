"""What the benchmark measures with, against independent sources."""

import os
import re

import psutil
import pytest

from benchmarks.flows import entry_lines
from benchmarks.processes import cpu_seconds, quantile, resident_bytes


def test_quantiles_are_of_the_nearest_rank() -> None:
    hundred = [float(value) for value in range(100, 0, -1)]
    assert [quantile(hundred, share) for share in (0.01, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert quantile([7.0], 0.5) == 7


def test_cpu_time_and_memory_are_what_the_kernel_says_elsewhere() -> None:
    times = psutil.Process().cpu_times()
    assert cpu_seconds(os.getpid()) == pytest.approx(times.user + times.system, abs=0.5)
    assert resident_bytes(os.getpid()) == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


def test_the_flows_of_the_benchmark_are_distinct_and_of_250_hosts() -> None:
    lines = [*entry_lines(20_000, 0), *entry_lines(20_000, 500_000)]
    assert len({re.sub(r"-u \S+|--state \S+", "", line) for line in lines}) == 40_000
    assert len({match[1] for line in lines if (match := re.search(r" -s (10\S+)", line))}) == 250
    assert sum(" -p tcp " in line for line in lines) == 25_000
