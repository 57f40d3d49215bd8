"""Fills an empty database with the past: what rules and panels read, as far back as they read it.

Written as OpenMetrics, a chunk of time at a time, and made into blocks by
``promtool tsdb create-blocks-from openmetrics``. Scraped series have the values
of the simulation; recorded ones are plausible numbers under the labels that a
real Prometheus recorded for one NAT. Knows what is needed from
:mod:`benchmarks.fleet_needs`.
"""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from benchmarks.fleet_needs import DAY, Need
from benchmarks.fleet_scrapes import KINDS, WORSE, Scrape, Simulated, cluster_of, labels_of
from natobs.catalogue.naming import EXPLAINED

_LONG, _SHORT = 162 * 3600, 6 * 3600
"""Lengths of chunks before the last day and within it: both are lengths of blocks, so a chunk becomes one block."""
_AT_ONCE = 2
_NAMED = 8
"""Metrics that are named in a line; of more their number is."""
_OF_BOTH = {"natobs_build_info"}
_OF_TROUBLE = {EXPLAINED.name}
"""Recorded while something is wrong, and only then."""
_FEW = 4  # NATs of the one cluster that is looked at closely


@dataclass(frozen=True)
class Past:
    """What has to be written.

    Args:
        needs: which metrics, how far back.
        recorded: labels of recorded series, the name among them, of one NAT (``nat0000``), its cluster, or nobody.
        nats: how many NATs there are.
        begin: the simulation's beginning, in seconds after the epoch.
        now: the end, likewise.
    """

    needs: list[Need]
    recorded: list[dict[str, str]]
    nats: int
    begin: float
    now: float

    def chunks(self) -> list[tuple[int, int, int]]:
        """Give start, end and length of block of each chunk, the oldest first."""
        first = int(self.now - max(need.seconds for need in self.needs))
        turn = int(self.now - DAY) // _SHORT * _SHORT
        long = [(start, min(start + _LONG, turn), _LONG) for start in range(first // _LONG * _LONG, turn, _LONG)]
        return long + [(start, start + _SHORT, _SHORT) for start in range(turn, int(self.now), _SHORT)]

    def times(self, need: Need, start: float, end: float) -> range:
        """Give the times of a metric's samples within a chunk."""
        begin = int(max(start, self.now - need.seconds))
        return range(-(-begin // need.step) * need.step, int(min(end, self.now)), need.step)

    def write(self, file: IO[str], start: float, end: float) -> int:
        """Write a chunk; give the number of samples."""
        written = 0
        raw: dict[tuple[range, range], list[str]] = defaultdict(list)
        for need in self.needs:
            times = self.times(need, start, end)
            if not times:
                continue
            series = [labels for labels in self.recorded if labels["__name__"] == need.name]
            if series:
                written += _recorded(file, need.name, list(self._everyone(series, need)), times)
            else:
                raw[self._numbers(need), times].append(need.name)
        for (numbers, times), names in raw.items():
            written += _scraped(file, names, numbers, times, self.begin)
        file.write("# EOF\n")
        return written

    def _numbers(self, need: Need) -> range:
        """Give the NATs that a need is about; where the cluster has one of its own, that one is left out."""
        few = min(_FEW, self.nats)
        if not need.everywhere:
            return range(few)
        apart = any(other.name == need.name and not other.everywhere for other in self.needs)
        return range(few if apart else 0, self.nats)

    def _everyone(self, series: list[dict[str, str]], need: Need) -> Iterator[str]:
        """Give name and labels of a recorded metric's series for all who have it."""
        numbers = self._numbers(need)
        if need.name in _OF_TROUBLE:
            numbers = numbers[WORSE - 1 :: WORSE]
        for labels in series:
            rest = {name: value for name, value in labels.items() if name not in {"__name__", "nat", "nat_cluster"}}
            clusters: list[dict[str, str]] = [{}] if 0 in numbers else []
            if "nat" in labels:
                clusters = [{"nat_cluster": cluster_of(n), "nat": f"nat{n:04d}"} for n in numbers]
            elif "nat_cluster" in labels:
                clusters = [{"nat_cluster": name} for name in dict.fromkeys(map(cluster_of, numbers))]
            yield from (f"{need.name}{_braces({**own, **rest})} " for own in clusters)


def _scraped(file: IO[str], names: list[str], numbers: range, times: range, begin: float) -> int:
    stamps = [f" {time}\n" for time in times]
    seconds = np.array(times, dtype=np.float64) - begin
    written = 0
    for kind in KINDS:
        # of what both have, rules read that of the agents alone: {subnet=""}
        scrape = Scrape.recorded(kind).only([name for name in names if kind == "agent" or name not in _OF_BOTH])
        for number in numbers if scrape.lines else ():
            added = _braces({**labels_of(kind, number), "job": f"natobs-{kind}"}).strip("{}")
            for line, values in zip(scrape.lines, Simulated(scrape, number).history(seconds), strict=True):
                inner = ",".join(filter(None, (line.labels.strip("{}"), added)))
                prefix, form = f"{line.name}{{{inner}}} ", line.form
                file.write("".join([prefix + form % v + stamp for v, stamp in zip(values, stamps, strict=True)]))
                written += len(stamps)
    return written


def _recorded(file: IO[str], name: str, prefixes: list[str], times: range) -> int:
    values = _plausible(name)
    for turn, time in enumerate(times):
        stamp = f" {time}\n"
        begin = turn * 31 % len(values)
        rolled = (values[begin:] + values[:begin]) * (len(prefixes) // len(values) + 1)
        file.write("".join([prefix + value + stamp for prefix, value in zip(prefixes, rolled, strict=False)]))
    return len(prefixes) * len(times)


def _plausible(name: str) -> list[str]:
    """Values of a recorded metric; as many as a prime, so that neighbours in time and fleet differ."""
    if "bad" in name:
        return [str(int(number % 11 == 0)) for number in range(97)]
    if "total" in name or "increase" in name:
        return [str(3000 + number * 37 % 97) for number in range(97)]
    if "remaining" in name:
        return [f"{0.9 - number / 400:.6f}" for number in range(97)]
    return [f"{0.0005 + number / 9973:.9f}" for number in range(97)]


def _braces(labels: dict[str, str]) -> str:
    return "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def backfill(past: Past, scratch: Path, data: Path) -> int:
    """Write the past into a database that no Prometheus has opened yet; give the number of samples.

    Args:
        past: what to write.
        scratch: directory for text; each file is removed as soon as it is read.
        data: directory of the database.

    Raises:
        RuntimeError: promtool failed; the message has its words.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: list[Future[None]] = []
        written = 0
        for number, (start, end, length) in enumerate(past.chunks()):
            path = scratch / f"{number}.om"
            with path.open("w", encoding="ascii") as file:
                written += past.write(file, start, end)
            if len(waiting) >= _AT_ONCE:
                waiting.pop(0).result()
            waiting.append(pool.submit(_make_block, path, data, length))
        for future in waiting:
            future.result()
    return written


def _make_block(path: Path, data: Path, length: int) -> None:
    options = (f"--max-block-duration={length}s", "--quiet", str(path), str(data))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.unlink()
    if done.returncode != 0:
        raise RuntimeError(f"promtool: {done.stderr.strip()}")


def describe(needs: Iterable[Need]) -> list[str]:
    """Say in lines what is written, by reach, length and step."""
    groups: dict[tuple[bool, float, int], list[str]] = defaultdict(list)
    for need in needs:
        groups[need.everywhere, need.seconds, need.step].append(need.name)
    return [
        f"{'all NATs' if everywhere else 'one cluster'}, {seconds / 3600:g} h every {step} s: "
        + (", ".join(names) if len(names) <= _NAMED else f"{len(names)} metrics")
        for (everywhere, seconds, step), names in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]
