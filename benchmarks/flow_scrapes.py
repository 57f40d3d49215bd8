"""What a scrape takes while the agent's census is in progress, and while there is none; part of ``make bench-flows``.

One agent in the lab's NAT with a large table. In pairs of rounds its
configuration switches the census on, one after the other, and off again; only
scrapes count that begin and end while the census' process is at work.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import psutil

from benchmarks.processes import Scraper, await_answer, quantile
from natobs.lab import entries
from natobs.lab.lab import Lab

_PORT = 9651
_SCRAPES = 200
_PAUSE = 0.005
_SETTLE = 0.5
_ROUND_SECONDS = 60.0
_GOAL = 1.2
_NICENESS = 10
_ON = "[census]\ninterval_seconds = 1\nmax_cpu_share = 1.0\n"
_OFF = "[census]\nenabled = false\n"


class Scrapes(TypedDict):
    """Latencies in seconds; the ratio is that of the 99th percentiles."""

    flows: int
    scrapes: int
    p50_without: float
    p50_with: float
    p99_without: float
    p99_with: float
    ratio: float


def compare(lab: Lab, most: int, pairs: int) -> Scrapes:
    """Fill the NAT's table and measure.

    Args:
        lab: one that stands.
        most: flows in the table.
        pairs: of rounds.
    """
    nat = lab.host("nat")
    nat.run(["conntrack", "-F"])
    entries.load(nat, most)
    argv = nat.python("benchmarks.flow_scrapes", "--pairs", str(pairs), "--flows", str(most))
    found: Scrapes = json.loads(nat.run(argv, timeout=_ROUND_SECONDS * 2 * pairs).stdout)
    return found


def sentence(found: Scrapes) -> str:
    """The result for a person."""
    ms = {name: f"{1e3 * value:.2f} ms" for name, value in found.items() if isinstance(value, float)}
    return (
        f"scrapes of an agent at {found['flows']:,} flows, {found['scrapes']} each, with a census in progress: "
        f"p50 {ms['p50_with']}, p99 {ms['p99_with']}; without: p50 {ms['p50_without']}, p99 {ms['p99_without']}; "
        f"ratio of p99 {found['ratio']:.2f} (goal {_GOAL})"
    )


def at_work(agent: psutil.Process) -> int | None:
    """The census' process, once it works."""
    for child in agent.children():
        try:
            if child.nice() == _NICENESS and child.status() != psutil.STATUS_ZOMBIE:
                return int(child.pid)
        except psutil.NoSuchProcess:
            continue
    return None


def latencies(agent: psutil.Process, scraper: Scraper, *, census: bool) -> list[float]:
    """Latencies of one round."""
    found: list[float] = []
    deadline = time.monotonic() + _ROUND_SECONDS
    while len(found) < _SCRAPES and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        before = at_work(agent)
        start = time.perf_counter()
        scraper.scrape()
        taken = time.perf_counter() - start
        # The same look is taken in both kinds of round, so that it costs both the same.
        after = at_work(agent)
        if (before is not None and before == after) if census else (before is None and after is None):
            found.append(taken)
    return found


def measure(pairs: int, flows: int) -> Scrapes:
    """Be the process in the lab."""
    samples: dict[bool, list[float]] = {False: [], True: []}
    with TemporaryDirectory() as directory:
        file = Path(directory) / "natobs.toml"
        file.write_text(_OFF, "utf-8")
        listen = ["--config", str(file), "--listen", f"127.0.0.1:{_PORT}"]
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "natobs", "agent", *listen], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            await_answer(_PORT, started)
            agent, scraper = psutil.Process(process.pid), Scraper(_PORT)
            for number in range(2 * pairs):
                census = number % 4 in (1, 2)  # off, on, on, off
                file.write_text(_ON if census else _OFF, "utf-8")
                os.kill(process.pid, signal.SIGHUP)
                time.sleep(_SETTLE)
                scraper.scrape()
                samples[census] += latencies(agent, scraper, census=census)
            scraper.close()
        finally:
            process.kill()
            process.wait()
    count = min(map(len, samples.values()))
    p50 = {kind: quantile(values, 0.5) for kind, values in samples.items()}
    p99 = {kind: quantile(values, 0.99) for kind, values in samples.items()}
    return Scrapes(
        flows=flows,
        scrapes=count,
        p50_without=p50[False],
        p50_with=p50[True],
        p99_without=p99[False],
        p99_with=p99[True],
        ratio=p99[True] / p99[False],
    )


def main() -> None:
    """Measure in this network namespace, and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flow_scrapes", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--flows", type=int, default=0)
    options = parser.parse_args()
    json.dump(measure(options.pairs, options.flows), sys.stdout)


if __name__ == "__main__":
    main()
