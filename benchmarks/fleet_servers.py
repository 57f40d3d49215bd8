"""Processes of the fleet's benchmark on loopback: the simulated NATs, and a real Prometheus that scrapes them.

Knows how they are started, found ready and ended. Refuses to know what is measured.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

from benchmarks.fleet_scrapes import KINDS, labels_of
from natobs.lab.stack.api import Prometheus

_READY_SECONDS = 300.0  # a database of a month, on a busy machine
_PATIENCE = 120.0
_LEAVING_SECONDS = 45.0  # two intervals after a target is gone, Prometheus marks the ends of its series
_CALM_SECONDS, _CALM = 3.0, 0.02
_DAYS = 60  # of retention; the blocks of 30 days must not be deleted


def free_port() -> int:
    """Give a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


@contextmanager
def fleet(nats: int, begin: float) -> Iterator[tuple[int, psutil.Process]]:
    """Run simulated NATs while the block runs; gives their port and their process."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.fleet_server", str(port), str(nats), str(begin)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the simulated NATs did not start")
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def scrape_jobs(port: int, nats: int) -> list[dict[str, object]]:
    """Give the scrape configuration of a simulated fleet."""
    return [
        {
            "job_name": f"natobs-{kind}",
            "static_configs": [
                {
                    "targets": [f"127.0.0.1:{port}"],
                    "labels": {"__metrics_path__": f"/{kind}/{number}", **labels_of(kind, number)},
                }
                for number in range(nats)
            ],
        }
        for kind in KINDS
    ]


class Running:
    """A Prometheus that runs: how to ask it, and what it costs."""

    def __init__(self, process: psutil.Process, url: str, config: Path) -> None:
        self.process = process
        self._config = config
        self.api = Prometheus(url, _PATIENCE)
        self.peak = 0

    def resident(self) -> int:
        """Resident memory now, in bytes; the highest that was ever seen here is kept in ``peak``."""
        found: int = self.process.memory_info().rss
        self.peak = max(self.peak, found)
        return found

    def rest(self) -> None:
        """Have it scrape and evaluate nothing any more, so that answering is all that it does.

        Raises:
            RuntimeError: it did not take the new configuration in time.
        """
        self._config.write_text("scrape_configs: []\n", "utf-8")
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + _PATIENCE
        while self.api.rules():
            if time.monotonic() > deadline:
                raise RuntimeError("Prometheus still evaluates rules")
            time.sleep(0.2)
        time.sleep(_LEAVING_SECONDS)
        deadline, before = time.monotonic() + _PATIENCE, self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(_CALM_SECONDS)
            if self.cpu_seconds() - before < _CALM * _CALM_SECONDS:
                break
            before = self.cpu_seconds()

    def cpu_seconds(self) -> float:
        """CPU time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def prometheus(where: Path, jobs: list[dict[str, object]], rules: Sequence[Path], every: float) -> Iterator[Running]:
    """Run Prometheus while the block runs.

    Args:
        where: directory for its configuration, its log and, in ``data``, its database.
        jobs: what it scrapes.
        rules: its rule files.
        every: between two scrapes, in seconds.

    Raises:
        RuntimeError: it ended or was not ready in time; the message has its last words.
    """
    interval = f"{every:g}s"
    settings = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": jobs,
    }
    config, log, port = where / "prometheus.yml", where / "log", free_port()
    config.write_text(yaml.safe_dump(settings), "utf-8")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={where / 'data'}",
        f"--storage.tsdb.retention.time={_DAYS}d",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            running = Running(psutil.Process(process.pid), f"http://127.0.0.1:{port}/", config)
            deadline = time.monotonic() + _READY_SECONDS
            while not running.api.ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Prometheus is not ready: {log.read_text('utf-8', 'replace')[-2000:]}")
                time.sleep(0.2)
            yield running
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
