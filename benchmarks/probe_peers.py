"""The probers that are compared, each with the same face: send so many probes, say what you measured and what it cost.

Knows how each is started and what its output looks like; refuses to know the truth.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Protocol

from benchmarks import probe_truth
from benchmarks.processes import cpu_seconds

PAUSE_SECONDS = 0.01
"""From one probe to the next: the shortest that all of them know."""

REFLECTOR = "198.51.100.1"
STAMP_PORT, TCP_PORT, IRTT_PORT, ACCEPT_PORT = 862, 8007, 2112, 8008
_PORTS = {"icmp": 0, "udp": STAMP_PORT, "tcp": TCP_PORT}


@dataclass(frozen=True)
class Batch:
    """What a prober says of a batch.

    Args:
        rtts: address and seconds in the order of the probes; None where it reports no answer.
        cpu: CPU seconds a probe.
    """

    rtts: list[tuple[str, float | None]]
    cpu: float


class Peer(Protocol):
    """One prober."""

    name: str
    protocol: probe_truth.Protocol

    def batch(self, count: int) -> Batch:
        """Send so many probes, one after the other, and return when all have ended."""

    def close(self) -> None:
        """End its processes."""


class Natobs:
    """natobs' engine in a process of its own.

    Args:
        kind: icmp, udp or tcp.
        hosts: probed in turns.
    """

    def __init__(self, kind: probe_truth.Protocol, hosts: Sequence[str]) -> None:
        self.name = f"natobs {kind}"
        self.protocol: probe_truth.Protocol = kind
        argv = [sys.executable, "-m", "benchmarks.probe_worker", "serve", kind, str(_PORTS[kind]), *hosts]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def batch(self, count: int) -> Batch:
        return self.burst(count, 1, PAUSE_SECONDS)

    def burst(self, count: int, together: int, pause: float) -> Batch:
        """Send so many probes, some of them together, with so many seconds from burst to burst."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"count": count, "burst": together, "pause": pause}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        return Batch([(address, rtt) for address, rtt in answer["rtts"]], answer["cpu"] / len(answer["rtts"]))

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Program:
    """A prober that is started for each batch; the cost of starting it is measured once and taken off.

    Args:
        name: of the row.
        protocol: what it sends.
        command: the command line for so many probes.
        read: what it printed, as address and seconds.
    """

    def __init__(
        self,
        name: str,
        protocol: probe_truth.Protocol,
        command: Callable[[int], list[str]],
        read: Callable[[str, int], list[tuple[str, float | None]]],
    ) -> None:
        self.name = name
        self.protocol = protocol
        self._command = command
        self._read = read
        self._start = sorted(self._run(1)[1] for _run in range(3))[1]

    def batch(self, count: int) -> Batch:
        text, cpu = self._run(count)
        return Batch(self._read(text, count), max(0.0, cpu - self._start) / max(1, count - 1))

    def close(self) -> None:
        return

    def _run(self, count: int) -> tuple[str, float]:
        with TemporaryFile("w+") as output:
            process = subprocess.Popen(self._command(count), stdout=output, stderr=subprocess.STDOUT)
            _pid, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read()
        if process.returncode:
            raise OSError(f"{self.name} ended with status {process.returncode}: {text.strip()[-200:]}")
        return text, used.ru_utime + used.ru_stime


class Blackbox:
    """blackbox_exporter, asked over one connection that stays open.

    Args:
        module: icmp or tcp.
        hosts: probed in turns.
        port: of its own listener.
    """

    def __init__(self, module: probe_truth.Protocol, hosts: Sequence[str], port: int) -> None:
        self.name = f"blackbox {module}"
        self.protocol: probe_truth.Protocol = module
        self._hosts, self._place, self._port = hosts, 0, port
        self._directory = TemporaryDirectory()
        config = Path(self._directory.name) / "blackbox.yml"
        modules = {"icmp": {"prober": "icmp", "timeout": "1s"}, "tcp": {"prober": "tcp", "timeout": "1s"}}
        config.write_text(json.dumps({"modules": modules}), "utf-8")  # JSON is YAML
        argv = [_program("prometheus-blackbox-exporter"), f"--config.file={config}"]
        self._process = _quiet([*argv, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"])
        _await(port)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def batch(self, count: int) -> Batch:
        before, rtts, beat = cpu_seconds(self._process.pid), [], time.monotonic()
        for _probe in range(count):
            rtts.append(self._probe(self._connection, self._next()))
            beat += PAUSE_SECONDS
            time.sleep(max(0.0, beat - time.monotonic()))
        return Batch(rtts, (cpu_seconds(self._process.pid) - before) / count)

    def together(self, count: int, together: int) -> float:
        """CPU seconds a probe when so many are asked for at the same time."""
        connections = [http.client.HTTPConnection("127.0.0.1", self._port, timeout=5) for _probe in range(together)]
        with ThreadPoolExecutor(together) as pool:

            def once() -> None:
                list(pool.map(self._probe, connections, [self._next() for _probe in range(together)]))

            once()  # connects
            before = cpu_seconds(self._process.pid)
            for _round in range(count // together):
                once()
        for connection in connections:
            connection.close()
        return (cpu_seconds(self._process.pid) - before) / (count // together * together)

    def close(self) -> None:
        self._connection.close()
        _end(self._process)
        self._directory.cleanup()

    def _next(self) -> str:
        self._place = (self._place + 1) % len(self._hosts)
        return self._hosts[self._place]

    def _probe(self, connection: http.client.HTTPConnection, host: str) -> tuple[str, float | None]:
        target = host if self.protocol == "icmp" else f"{host}:{TCP_PORT}"
        connection.request("GET", f"/probe?target={target}&module={self.protocol}")
        text = connection.getresponse().read().decode()
        wanted = r'probe_icmp_duration_seconds\{phase="rtt"\}' if self.protocol == "icmp" else "probe_duration_seconds"
        found = re.search(rf"^{wanted} (\S+)$", text, re.MULTILINE)
        return host, float(found[1]) if found and "\nprobe_success 1" in text else None


class Smokeping:
    """smokeping_prober, started anew for each batch: it never pauses, and would ping into the others'.

    It exports no single round trip; the growth of its sum between two scrapes with
    one reply in between is one. The CPU is that of half a second without scrapes.
    """

    name = "smokeping_prober icmp"
    protocol: probe_truth.Protocol = "icmp"

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._argv = [_program("prometheus-smokeping-prober", "smokeping_prober")]
        self._argv += [f"--ping.interval={PAUSE_SECONDS}s", f"--web.listen-address=127.0.0.1:{port}", host]

    def batch(self, count: int) -> Batch:
        process = _quiet(self._argv)
        try:
            _await(self._port)
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            rtts: list[tuple[str, float | None]] = []
            total, deadline = 0.0, time.monotonic() + 5 + 3 * count * PAUSE_SECONDS
            while len(rtts) < count and time.monotonic() < deadline:
                seen, now = self._scrape(connection)
                new = seen - len(rtts)
                rtts += [(self._host, now - total if new == 1 else None)] * new
                total = now
                time.sleep(PAUSE_SECONDS / 5)
            before, cpu = self._scrape(connection)[0], cpu_seconds(process.pid)
            time.sleep(0.5)
            cpu = cpu_seconds(process.pid) - cpu
            probes = self._scrape(connection)[0] - before
            connection.close()
            return Batch(rtts, cpu / max(1, probes))
        finally:
            _end(process)

    def close(self) -> None:
        return

    @staticmethod
    def _scrape(connection: http.client.HTTPConnection) -> tuple[int, float]:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        found = dict(re.findall(r"^smokeping_response_duration_seconds_(sum|count)\{.*\} (\S+)$", text, re.MULTILINE))
        return int(float(found.get("count", 0))), float(found.get("sum", 0))


def ping(host: str) -> Program:
    """iputils-ping."""
    program = _program("ping")

    def read(text: str, count: int) -> list[tuple[str, float | None]]:
        found = {int(number): float(time) / 1e3 for number, time in re.findall(r"icmp_seq=(\d+) .*time=(\S+) ms", text)}
        return [(host, found.get(number)) for number in range(1, count + 1)]

    return Program("ping", "icmp", lambda count: [program, "-n", "-i", "0.01", "-c", str(count), host], read)


def fping(host: str) -> Program:
    """Run fping."""
    program = _program("fping")

    def read(text: str, count: int) -> list[tuple[str, float | None]]:
        words = text.strip().rpartition(" : ")[2].split()
        return [(host, None if word == "-" else float(word) / 1e3) for word in words]

    return Program("fping", "icmp", lambda count: [program, "-q", "-p", "10", "-C", str(count), host], read)


def irtt() -> Program:
    """Run irtt against its own server; what the server says that it kept a packet for is part of its figure again."""
    program = _program("irtt")

    def command(count: int) -> list[str]:
        duration = f"{count * 10}ms"
        return [program, "client", "-Q", "-i", "10ms", "-d", duration, "-o", "-", f"{REFLECTOR}:{IRTT_PORT}"]

    def read(text: str, count: int) -> list[tuple[str, float | None]]:
        rtts: list[tuple[str, float | None]] = []
        for trip in json.loads(text[text.index("{") :])["round_trips"]:
            if trip["lost"] not in {False, "false"}:
                rtts.append((REFLECTOR, None))
                continue
            server = trip["timestamps"]["server"]
            residence = server["send"]["monotonic"] - server["receive"]["monotonic"]
            rtts.append((REFLECTOR, (trip["delay"]["rtt"] + residence) / 1e9))
        return rtts

    return Program("irtt", "udp", command, read)


def _program(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise FileNotFoundError(f"{names[0]} is not on PATH")


def _quiet(argv: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _await(port: int, limit: float = 5.0) -> None:
    deadline = time.monotonic() + limit
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/metrics")
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
        finally:
            connection.close()
