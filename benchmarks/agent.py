"""``make bench``: the agent beside Debian's node_exporter, in the NAT of the lab, scraped in turns.

Both serve the same subjects (conntrack, interfaces, protocol counters, softnet,
CPU, ethtool), both are scraped over one connection that stays open, with the
headers of Prometheus. What node_exporter does not have stands in rows of its own.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.processes import Scraper, await_answer, cpu_seconds, quantile, resident_bytes
from natobs.collectors import registry
from natobs.lab import topology, traffic
from natobs.lab.lab import Lab

_NODE_EXPORTER = ("conntrack", "netdev", "netclass", "netstat", "softnet", "sockstat", "cpu", "ethtool")
"""Collectors of node_exporter that stand beside natobs' own."""
_SAME_SUBJECTS = ("conntrack", "network", "allowances", "protocols", "softnet", "host")
"""natobs' own for the same; it has no sockstat, because forwarded flows have no sockets."""
_IDLE_SECONDS = 10.0
_RULES = 100
_STDERR = Console(stderr=True)


@dataclass(frozen=True)
class Row:
    """What one exporter cost.

    Args:
        name: which exporter, and what it served.
        series: how many it exported.
        cpu_ms: CPU time a scrape, mean.
        p50_ms: median latency of a scrape.
        p99_ms: its 99th percentile.
        resident_mb: resident memory after the last scrape, in 10^6 bytes.
        start_s: from start to the first answer.
        idle_ms: CPU time a second while nobody scrapes: samplers, listeners.
    """

    name: str
    series: int
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    resident_mb: float
    start_s: float
    idle_ms: float


class Exporter:
    """One exporter under test."""

    def __init__(self, name: str, argv: list[str], port: int) -> None:
        self.name = name
        started = time.monotonic()
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.start_s = await_answer(port, started)
        self._scraper = Scraper(port)
        self._scraper.connect()
        self._cpu: list[float] = []
        self._latency: list[float] = []

    def warm(self, scrapes: int = 20) -> None:
        """Scrape without measuring: caches, first allocations."""
        for _scrape in range(scrapes):
            self._scraper.scrape()

    def scrape(self) -> None:
        """One scrape, measured."""
        before, start = cpu_seconds(self._process.pid), time.perf_counter()
        self._scraper.scrape()
        self._latency.append(time.perf_counter() - start)
        self._cpu.append(cpu_seconds(self._process.pid) - before)

    def resident_mb(self) -> float:
        """Resident memory now, in 10^6 bytes."""
        return resident_bytes(self._process.pid) / 1e6

    def row(self) -> Row:
        """The figures; takes ten seconds in which nobody scrapes."""
        before = cpu_seconds(self._process.pid)
        time.sleep(_IDLE_SECONDS)
        idle = cpu_seconds(self._process.pid) - before
        text = self._scraper.scrape(plain=True)
        return Row(
            self.name,
            sum(not line.startswith(b"#") for line in text.splitlines()),
            1e3 * sum(self._cpu) / len(self._cpu),
            1e3 * quantile(self._latency, 0.5),
            1e3 * quantile(self._latency, 0.99),
            self.resident_mb(),
            self.start_s,
            1e3 * idle / _IDLE_SECONDS,
        )

    def close(self) -> None:
        """End it."""
        self._scraper.close()
        self._process.kill()
        self._process.wait()


def agent(name: str, port: int, directory: str, only: tuple[str, ...] | None = None) -> Exporter:
    """The agent with all of its collectors, or only some."""
    disabled = [] if only is None else [entry.name for entry in registry.ALL if entry.name not in only]
    config = Path(directory) / f"{port}.toml"
    config.write_text(f"[collectors]\ndisabled = {json.dumps(disabled)}\n", "utf-8")
    argv = [sys.executable, "-m", "natobs", "agent", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
    return Exporter(name, argv, port)


def node_exporter(port: int) -> Exporter:
    """Debian's node_exporter with the same subjects."""
    program = shutil.which("prometheus-node-exporter") or sys.exit("bench: apt-get install prometheus-node-exporter")
    argv = [program, f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults"]
    return Exporter("node_exporter", [*argv, *(f"--collector.{name}" for name in _NODE_EXPORTER)], port)


def add_rules(count: int) -> None:
    """Load a table of counting rules, a tenth of them with a comment."""
    rules = [
        f"tcp dport {1000 + number} counter accept" + (f' comment "service {number}"' if number % 10 == 0 else "")
        for number in range(count)
    ]
    script = "\n".join(["table ip bench {", "chain passing {", *rules, "}", "}", ""])
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)


def measure(scrapes: int, growth: int) -> tuple[list[Row], tuple[float, float]]:
    """All rows, and the agent's resident megabytes after a tenth of ``growth`` scrapes and after all of them."""
    with TemporaryDirectory() as directory, ExitStack() as stack:
        same = [node_exporter(9100), agent("natobs, same subjects", 9651, directory, _SAME_SUBJECTS)]
        everything = agent("natobs, everything", 9652, directory)
        exporters = [*same, everything]
        for exporter in exporters:
            stack.callback(exporter.close)
            exporter.warm()
        for _scrape in track(range(scrapes), "scraping in turns", console=_STDERR):
            for exporter in exporters:
                exporter.scrape()
        rows = [exporter.row() for exporter in exporters]
        add_rules(_RULES)
        firewall = agent(f"natobs, firewall only, {_RULES} rules", 9653, directory, ("firewall",))
        stack.callback(firewall.close)
        firewall.warm()
        for _scrape in track(range(scrapes), "firewall counters", console=_STDERR):
            firewall.scrape()
        rows.append(firewall.row())
        sizes = []
        for _tenth in track(range(10), f"{growth} scrapes more", console=_STDERR):
            everything.warm(growth // 10)
            sizes.append(everything.resident_mb())
        return rows, (sizes[0], sizes[-1])


def report(rows: list[Row], growth: tuple[float, float], scrapes: int) -> None:
    """The table on standard output, then the same as JSON."""
    peer = rows[0]
    table = Table(title=f"{scrapes} scrapes each, in turns; ratios against node_exporter")
    for column in ("exporter", "series", "CPU ms", "ratio", "p50 ms", "p99 ms", "ratio", "MB", "start s", "idle ms/s"):
        table.add_column(column, justify="left" if column == "exporter" else "right")
    for row in rows:
        table.add_row(
            row.name,
            str(row.series),
            f"{row.cpu_ms:.2f}",
            f"{row.cpu_ms / peer.cpu_ms:.2f}",
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.p99_ms / peer.p99_ms:.2f}",
            f"{row.resident_mb:.1f}",
            f"{row.start_s:.2f}",
            f"{row.idle_ms:.2f}",
        )
    Console(width=120).print(table)
    sys.stdout.write(f"resident memory of {rows[2].name}: {growth[0]:.1f} MB, after all scrapes {growth[1]:.1f} MB\n")
    sys.stdout.write(json.dumps({"rows": [asdict(row) for row in rows], "growth_mb": growth}) + "\n")


def main() -> None:
    """Build the lab, and measure inside its NAT."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent", description=__doc__)
    parser.add_argument("--scrapes", type=int, default=500)
    parser.add_argument("--growth", type=int, default=10_000, help="scrapes over which memory must not grow")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        rows, growth = measure(options.scrapes, options.growth)
        report(rows, growth, options.scrapes)
        return
    with Lab(topology.two_armed("bench")) as lab:
        traffic.start_servers(lab)
        nat = lab.host("nat")
        numbers = [f"--scrapes={options.scrapes}", f"--growth={options.growth}"]
        inside = nat.popen(nat.python("benchmarks.agent", "--inside", *numbers), stdout=None, stderr=None)
        sys.exit(inside.wait(timeout=1800))


if __name__ == "__main__":
    main()
