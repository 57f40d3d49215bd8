"""What the benchmark measures with, against independent sources."""

import os
import re

import psutil
import pytest

from benchmarks.added import _covers
from benchmarks.added_report import Residence
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


def test_a_window_covers_when_its_interval_holds_the_median_of_the_truth() -> None:
    exact = [(0.002 + number * 1e-6, 0.001, 0.001 + number * 1e-6) for number in range(60)]
    assert _covers(exact)
    assert not _covers([(through, direct, true + 1e-3) for through, direct, true in exact])
    assert not _covers(exact[:3])  # too few for an interval


def test_the_share_that_is_missing_and_how_far_quantiles_are_off() -> None:
    one = Residence("out", [2e-6] * 999, [1e-6] * 1000)
    assert one.missing == pytest.approx(0.001)
    assert one.off(0.5) == pytest.approx(1.0)
    assert Residence("out", [1e-6] * 2, [1e-6]).missing == 0
