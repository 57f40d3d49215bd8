"""What the benchmark measures with, against independent sources."""

import os

import psutil
import pytest

from benchmarks.processes import cpu_seconds, quantile, resident_bytes


def test_quantiles_are_of_the_nearest_rank() -> None:
    hundred = [float(value) for value in range(100, 0, -1)]
    assert [quantile(hundred, share) for share in (0.01, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert quantile([7.0], 0.5) == 7


def test_cpu_time_and_memory_are_what_the_kernel_says_elsewhere() -> None:
    times = psutil.Process().cpu_times()
    assert cpu_seconds(os.getpid()) == pytest.approx(times.user + times.system, abs=0.5)
    assert resident_bytes(os.getpid()) == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
