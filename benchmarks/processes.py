"""What a process costs: CPU time, resident memory, time from start to its first answer."""

import http.client
import math
import socket
import time
from pathlib import Path

_CPUCLOCK_SCHED = 2
_HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
"""As Prometheus 2.42 sends them."""


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def resident_bytes(pid: int) -> int:
    """Resident memory (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"process {pid} has no VmRSS")


class Scraper:
    """One connection that stays open, as Prometheus keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def connect(self) -> None:
        """Connect now rather than with the first scrape."""
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def scrape(self, *, plain: bool = False) -> bytes:
        """One scrape; the body as it came, compressed unless plain text is asked for."""
        self._connection.request("GET", "/metrics", headers={} if plain else _HEADERS)
        return self._connection.getresponse().read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def await_answer(port: int, started: float, limit: float = 15.0) -> float:
    """Seconds from a moment on the monotonic clock until ``/metrics`` answers."""
    while time.monotonic() - started < limit:
        try:
            Scraper(port).scrape()
        except OSError:
            time.sleep(0.002)
        else:
            return time.monotonic() - started
    raise TimeoutError(f"nothing answers on port {port}")


def quantile(values: list[float], share: float) -> float:
    """The value at a share of the sorted list, the nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
