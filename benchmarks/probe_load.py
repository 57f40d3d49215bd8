"""natobs under load: what falls due together, how many probes a second one core sends, memory by number of targets.

Knows the engine's worker and the service; refuses to know how true a round trip is.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.probe_peers import ACCEPT_PORT, REFLECTOR, STAMP_PORT, Blackbox, Natobs
from benchmarks.processes import Scraper, await_answer, cpu_seconds, resident_bytes
from natobs.probe_config import KindName

NETWORK = "198.18.0.0/18"
"""Of the addresses that RFC 2544 set aside for benchmarks; the lab's internet answers on all of them."""
_FIRST = IPv4Address("198.18.0.1")

_BEAT_SECONDS = 0.05
_SLIPPED_SECONDS = 0.1
_FAILED_SHARE = 0.001
RATES = (1000, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 12_000, 15_000)
"""Probes a second that are tried, one after the other."""

_PORTS = {"icmp": 0, "udp": STAMP_PORT, "tcp": ACCEPT_PORT}


def addresses(count: int) -> list[str]:
    """So many different hosts that answer."""
    return [str(_FIRST + number) for number in range(count)]


@dataclass(frozen=True)
class Together:
    """CPU of what falls due together.

    Args:
        name: which prober.
        together: how many at once.
        cpu_us: microseconds of CPU a probe.
    """

    name: str
    together: int
    cpu_us: float


@dataclass(frozen=True)
class Pace:
    """The highest rate at which one core kept the schedule.

    Args:
        kind: of the probes.
        targets: how many.
        rate: probes a second that were made; 0 when even the lowest that was tried slipped.
        lag_p99: seconds behind the plan, at that rate.
        cpu_share: of the core, at that rate.
        failed: probes that failed, at that rate.
        slipped_at: the next rate, which was not kept; None when the highest that was tried was.
        cause: why not: lag, beats left out, or failures, which may be the NAT's or the server's.
    """

    kind: str
    targets: int
    rate: float
    lag_p99: float
    cpu_share: float
    failed: int
    slipped_at: int | None
    cause: str


@dataclass(frozen=True)
class Size:
    """The whole service, with metrics, at one number of targets.

    Args:
        targets: how many.
        resident_mb: resident memory in 10^6 bytes, after every target was probed and two scrapes.
        cpu_us: microseconds of CPU a probe, all of the service's work included.
    """

    targets: int
    resident_mb: float
    cpu_us: float


def together(natobs: list[Natobs], blackbox: list[Blackbox], probes: int) -> list[Together]:
    """CPU a probe with 10 and 50 at once."""
    rows = []
    for count in (10, 50):
        for peer in natobs:
            peer.burst(2 * count, count, _BEAT_SECONDS)
            batch = peer.burst(max(1, probes // count) * count, count, _BEAT_SECONDS)
            rows.append(Together(peer.name, count, 1e6 * batch.cpu))
        rows += [
            Together(other.name, count, 1e6 * other.together(max(count, probes // 2), count)) for other in blackbox
        ]
    return rows


def pace(kind: KindName, targets: int, rates: Sequence[int], seconds: float) -> Pace:
    """Raise the rate until the schedule slips: p99 of the lag above 100 ms, beats left out, or probes that fail."""
    best = Pace(kind, targets, 0, 0, 0, 0, None, "")
    for rate in rates:
        found = _paced(kind, targets, rate, seconds)
        if _cause(found, rate * seconds):  # once more: a stall of the machine is no limit of the engine
            found = _paced(kind, targets, rate, seconds)
        cause = _cause(found, rate * seconds)
        if cause:
            return replace(best, slipped_at=rate, cause=cause)
        best = Pace(kind, targets, found["rate"], found["lag_p99"], found["cpu_share"], found["failed"], None, "")
    return best


def _paced(kind: KindName, targets: int, rate: int, seconds: float) -> dict[str, Any]:
    argv = [sys.executable, "-m", "benchmarks.probe_worker", "pace", kind, str(_PORTS[kind]), str(rate), str(seconds)]
    done = subprocess.run([*argv, *addresses(targets)], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _cause(found: dict[str, Any], probes: float) -> str:
    """Why a rate was not kept; empty when it was."""
    if found["failed"] > _FAILED_SHARE * probes:
        return f"{found['failed']} failed"
    if found["skipped"]:
        return f"{found['skipped']} left out"
    return f"lag {1e3 * found['lag_p99']:.0f} ms" if found["lag_p99"] >= _SLIPPED_SECONDS else ""


def sizes(counts: list[int], interval: float) -> list[Size]:
    """Memory and CPU of the service ``natobs probe``, one after the other."""
    rows = []
    for port, count in enumerate(counts, 9700):
        with TemporaryDirectory() as directory:
            config = Path(directory) / "probes.toml"
            config.write_text(
                f"[prober]\nmax_rate = {2 * count / interval + 100}\n[[probe]]\nname = 'bench'\nkind = 'icmp'\n"
                f"interval_seconds = {interval}\ntimeout_seconds = 1\ntargets = {json.dumps(addresses(count))}\n",
                "utf-8",
            )
            rows.append(_size(config, port, count, interval))
    return rows


def _size(config: Path, port: int, count: int, interval: float) -> Size:
    argv = [sys.executable, "-m", "natobs", "probe", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        await_answer(port, time.monotonic())
        time.sleep(interval + 1)
        cpu, before = cpu_seconds(process.pid), time.monotonic()
        time.sleep(interval / 2)
        probes = count * (time.monotonic() - before) / interval
        cpu = cpu_seconds(process.pid) - cpu
        scraper = Scraper(port)
        for _scrape in range(2):
            scraper.scrape()
        scraper.close()
        return Size(count, resident_bytes(process.pid) / 1e6, 1e6 * cpu / probes)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy, each with a process that never sleeps."""
    with ExitStack() as stack:
        for _core in range(cores):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def reachable() -> list[str]:
    """What the lab's internet has to do: commands for its host."""
    return ["ip", "route", "add", "local", NETWORK, "dev", "lo", "src", REFLECTOR]
