"""The agent's process among hostile clients, with collectors that hang, and under signals that come all at once."""

import gzip
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from natobs.exposition.limits import Limits
from tests.agent_process import AgentProcess, agent_process
from tests.loopback import eventually, fetch, raw, read_all

RECORDING = Path(__file__).parent / "kernel" / "two-armed"

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: n\r\n\r\n"
MEGABYTE = b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n"


class Watch:
    """The most that a process has had of everything while the block ran."""

    def __init__(self, agent: AgentProcess) -> None:
        self._agent = agent
        self.threads = self.resident_kib = self.descriptors = self.looks = 0

    def look(self) -> None:
        self.looks += 1
        self.threads = max(self.threads, self._agent.threads)
        self.resident_kib = max(self.resident_kib, self._agent.resident_kib)
        self.descriptors = max(self.descriptors, self._agent.descriptors)


@contextmanager
def watching(agent: AgentProcess) -> Iterator[Watch]:
    watch, enough = Watch(agent), threading.Event()

    def run() -> None:
        while not enough.wait(0.02):
            watch.look()

    with ThreadPoolExecutor(1) as background:
        watched = background.submit(run)
        try:
            yield watch
        finally:
            enough.set()
            watched.result()


def read_slowly(client: socket.socket, enough: threading.Event) -> int:
    """Read a byte a second; how many there were."""
    count = 0
    while not enough.wait(1.0):
        count += len(client.recv(1))
    return count


def test_crowds_slow_readers_and_megabytes_leave_the_process_bounded() -> None:
    enough = threading.Event()
    with agent_process() as agent, ThreadPoolExecutor(51) as clients:
        for _warm in range(20):
            fetch(agent.address, headers={"Accept-Encoding": "gzip"})
        before = Watch(agent)
        before.look()
        with raw(agent.address, SCRAPE, receive_buffer=2048) as slow, watching(agent) as most:
            reader = clients.submit(read_slowly, slow, enough)
            # Fifty at a time: half of them scrape, half send a request line of a megabyte.
            scrapes = [
                clients.submit(fetch, agent.address, headers={"Accept-Encoding": "gzip"}) for _scraper in range(500)
            ]
            refusals = [clients.submit(refused, agent) for _client in range(50)]
            bodies = [gzip.decompress(scrape.result().body) for scrape in scrapes]
            assert all(b"natobs_build_info{" in body for body in bodies)
            assert {refusal.result() for refusal in refusals} == {b"HTTP/1.1 431 "}
            time.sleep(1.1)
            enough.set()
            assert reader.result() >= 1
        assert most.looks > 10
        assert most.threads <= before.threads + Limits().workers
        # Beyond the connections: one that has been accepted and waits, and what the two threads that look are reading.
        assert most.descriptors <= before.descriptors + Limits().connections + 1 + 2
        assert most.resident_kib <= before.resident_kib + 24 * 1024
        assert eventually(lambda: agent.descriptors <= before.descriptors)
        assert fetch(agent.address).status == 200


def refused(agent: AgentProcess) -> bytes:
    """What begins the answer to a request line of a megabyte."""
    with raw(agent.address) as client:
        with suppress(ConnectionError):  # it is told while it sends, and listened to for no more than a second
            client.sendall(MEGABYTE)
        return read_all(client)[:13]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A machine whose answers can be taken away."""
    return Path(shutil.copytree(RECORDING, tmp_path / "machine"))


def hang(recording: Path) -> None:
    """Make every question to the machine hang: whoever opens a pipe that has no other end waits for ever."""
    for path in [path for path in recording.rglob("*") if path.is_file()]:
        path.unlink()
        os.mkfifo(path)


def writing(pipe: Path) -> int:
    """The writing end of a pipe, once somebody waits at the other one."""
    found: list[int] = []

    def awaited() -> bool:
        with suppress(OSError):  # ENXIO, as long as nobody does
            found.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(found)

    assert eventually(awaited)
    return found[0]


END_SECONDS = 30.0
"""More than an agent takes to end by any of its own limits, on a machine that stalls; what hangs is never over."""


def test_collectors_that_hang_and_a_second_signal_do_not_delay_the_end(recording: Path) -> None:
    with agent_process("--recorded", str(recording)) as agent, raw(agent.address) as client:
        hang(recording)
        client.sendall(SCRAPE)
        time.sleep(0.5)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            agent.popen.send_signal(number)
        assert agent.popen.wait(END_SECONDS) == 0


def test_a_scrape_under_way_is_answered_before_the_end(recording: Path) -> None:
    with agent_process("--recorded", str(recording)) as agent, raw(agent.address) as client:
        (late,) = recording.glob("psutil/*cpu*")
        content = late.read_bytes()
        late.unlink()
        os.mkfifo(late)
        client.sendall(SCRAPE)
        with os.fdopen(writing(late), "wb") as pipe:
            agent.popen.send_signal(signal.SIGTERM)
            assert eventually(lambda: agent.said.endswith("stopping\n"))
            pipe.write(content)
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        assert agent.popen.wait(END_SECONDS) == 0


def test_a_storm_of_sighup_neither_hangs_the_agent_nor_keeps_sigterm_waiting() -> None:
    calm = threading.Event()
    with agent_process() as agent, ThreadPoolExecutor(1) as background:

        def storm() -> int:
            sent = 0
            while not calm.is_set() and agent.popen.poll() is None:
                agent.popen.send_signal(signal.SIGHUP)
                sent += 1
            return sent

        storming = background.submit(storm)
        try:
            time.sleep(1)
            assert fetch(agent.address).status == 200
            agent.popen.send_signal(signal.SIGTERM)
            assert agent.popen.wait(END_SECONDS) == 0
        finally:
            calm.set()
        assert storming.result() > 1000
        assert agent.said.endswith("stopping\n")
