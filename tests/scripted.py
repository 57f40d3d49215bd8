"""Probers that do what a test writes down, targets for them, and an engine over both."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from natobs.probe_config import KindName, ProbeFile, ProbeSettings
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment, Kind
from natobs.probes.model import Attempt, Clock, Outcome, Prober, Reason, Steps, Target, Wait
from natobs.probes.plan import Plan
from natobs.probes.registry import KindByName
from tests.loopback import PATIENCE

Attempting = Callable[[int], Steps]


def settings(**fields: object) -> ProbeSettings:
    given: dict[str, object] = {"name": "test", "kind": "udp", "targets": ("198.51.100.1",), "interval_seconds": 10.0}
    return ProbeSettings(**(given | fields))  # type: ignore[arg-type]  # a test's own values


def target(host: str = "198.51.100.1", port: int = 7, **fields: object) -> Target:
    return Target(settings(targets=(host,), **fields), host, port)


def at_once(outcome: Outcome) -> Attempting:
    """Attempts that need no waiting."""

    def attempt(number: int) -> Steps:
        yield from ()
        return outcome

    return attempt


def black_hole(number: int) -> Steps:
    """An attempt that nothing ever answers; gives its descriptor back when its time is up."""
    silent = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        while True:
            yield Wait(silent)
    finally:
        os.close(silent)


def echo(number: int) -> Steps:
    """An attempt that is answered as soon as the engine looks."""
    ready = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        yield Wait(ready)
        os.eventfd_read(ready)
    finally:
        os.close(ready)
    return Outcome(rtt=0.000_1, clock=Clock.KERNEL_TXRX)


@dataclass
class Scripted:
    """A prober whose attempts are a function of the test."""

    attempting: Attempting
    numbers: list[int] = field(default_factory=list)
    closed: int = 0

    def attempt(self, number: int) -> Steps:
        self.numbers.append(number)
        return self.attempting(number)

    def close(self) -> None:
        self.closed += 1


@dataclass
class ScriptedKind:
    """A kind whose probers do what ``script`` says for their target."""

    script: Callable[[Target], Attempting]
    name: str = "udp"
    default_port: int = 862
    opened: list[Scripted] = field(default_factory=list)

    def open(self, target: Target, environment: Environment) -> Prober:
        self.opened.append(Scripted(self.script(target)))
        return self.opened[-1]


def kinds(script: Callable[[Target], Attempting]) -> Callable[[], KindByName]:
    """What :class:`natobs.probes.service.ProbeService` takes: every kind does what the script says."""

    def make() -> KindByName:
        kind: Kind = ScriptedKind(script)

        def by_name(name: KindName) -> Kind:
            return kind

        return by_name

    return make


def probe_file(*probes: ProbeSettings, **prober: object) -> ProbeFile:
    from natobs.probe_config import Prober as Section  # noqa: PLC0415 - the name is taken here

    return ProbeFile(prober=Section(**({"listen": ("127.0.0.1:0",)} | prober)), probe=probes)  # type: ignore[arg-type]  # see settings()


def refused() -> Outcome:
    return Outcome(Reason.REFUSED, "Connection refused")


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def all_given_back() -> Iterator[None]:
    """Nothing that is begun within is left; a thread of an earlier test may hold a descriptor for a moment more."""
    before, threads = descriptors(), set(threading.enumerate())
    yield
    deadline = time.monotonic() + PATIENCE
    while descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descriptors() <= before
    assert set(threading.enumerate()) <= threads


def held_seconds(pid: int | str = "self") -> float:
    """How long threads of a process were ready to run, and kept from a CPU (Documentation/scheduler/sched-stats).

    With the time for which the host kept CPUs from this machine (proc_stat(5), steal): no scheduler in it sees that.
    """
    held = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            held += int((task / "schedstat").read_text("ascii").split()[1])
    stolen = int(Path("/proc/stat").read_text("ascii").split()[8]) / os.sysconf("SC_CLK_TCK")
    return held / 1e9 + stolen


@contextmanager
def standstill() -> Iterator[Callable[[], float]]:
    """Give how long this process stood still, all threads of it: stopped, or with a machine that was."""
    ended, stood = threading.Event(), [0.0]

    def watch() -> None:
        looked = time.monotonic()
        while not ended.wait(0.01):
            before, looked = looked, time.monotonic()
            stood[0] += max(0.0, looked - before - 0.02)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield lambda: stood[0]
    finally:
        ended.set()
        watching.join(PATIENCE)


@contextmanager
def kept(pid: int | str = "self") -> Iterator[Callable[[], float]]:
    """Give for how long the machine has kept a process from its CPUs since the block began."""
    before = held_seconds(pid)
    with standstill() as stood:
        yield lambda: stood() + max(0.0, held_seconds(pid) - before)


class Bench:
    """An engine over scripted probers, without beats of its own."""

    def __init__(self, targets: list[Target], attempting: list[Attempting]) -> None:
        self.done: list[Attempt] = []
        self.probers = [Scripted(one) for one in attempting]
        self.plan = Plan((), 1e6, time.monotonic())
        self.engine = Engine(targets, self.probers, self.plan, self.done.append)

    def finish(self, attempts: int, within: float = PATIENCE) -> list[Attempt]:
        """Turn until so many attempts have ended."""
        deadline = time.monotonic() + within
        while len(self.done) < attempts:
            assert time.monotonic() < deadline, self.done
            self.engine.turn(0.05)
        return self.done


@contextmanager
def at_work(engine: Engine) -> Iterator[threading.Thread]:
    """An engine that probes by its plan, and is stopped whatever becomes of the test: no thread outlives it."""
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        engine.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def bench(attempting: Attempting, **settings: object) -> Iterator[Bench]:
    made = Bench([target(**({"retries": 0} | settings))], [attempting])  # type: ignore[arg-type]  # a test's own values
    before = descriptors()
    try:
        yield made
    finally:
        made.engine.close()
    assert descriptors() <= before - 2  # epoll and eventfd: whatever happened, nothing else was left open
    assert made.probers[0].closed == 1


def one(attempting: Attempting, **settings: object) -> Attempt:
    """What becomes of one attempt."""
    with bench(attempting, **settings) as made:
        made.engine.begin(0)
        assert len(made.finish(1)) == 1
        assert made.engine.in_flight == 0
        return made.done[0]
