"""natobs' own engine with the service's counters, driven from standard input; and the engine under a plan, on one core.

Answers are JSON, one line for an order. Knows the engine; refuses to know what
the figures are compared with.
"""

import gc
import json
import os
import resource
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from benchmarks.processes import quantile
from natobs.probe_config import KindName, ProbeSettings
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment
from natobs.probes.model import Attempt, Target
from natobs.probes.plan import Plan
from natobs.probes.registry import Kinds
from natobs.probes.resolve import Resolver
from natobs.probes.stats import Stats

_WARM_SECONDS = 0.5
_KEPT = 512
"""Connections; more than the probes keep after a farewell."""


class Ended(NamedTuple):
    """What is kept of an attempt; not the attempt itself: the service keeps none either, and so piles up no garbage."""

    host: str
    rtt: float | None
    lag: float
    success: bool


class Crew:
    """An engine with its targets, and the attempts that it made.

    Args:
        kind: of the probes.
        hosts: one target each.
        port: of all; 0 for icmp.
        rate: attempts a second by plan, over all targets; 0 for none but those begun by hand.
    """

    def __init__(self, kind: KindName, hosts: Sequence[str], port: int, rate: float = 0) -> None:
        settings = ProbeSettings(name="bench", kind=kind, targets=tuple(hosts), timeout_seconds=1, retries=0)
        kinds, self._resolver = Kinds(), Resolver(60)
        targets = [Target(settings, host, port) for host in hosts]
        stats = Stats(targets)
        environment = Environment(self._resolver, stats)
        probers = [kinds(kind).open(target, environment) for target in targets]
        self.attempts: list[Ended] = []

        def report(attempt: Attempt) -> None:
            stats.report(attempt)
            outcome = attempt.outcome
            self.attempts.append(Ended(attempt.target.host, outcome.rtt, attempt.lag, outcome.success))

        intervals = [len(hosts) / rate] * len(hosts) if rate else []
        self.plan = Plan(intervals, rate * 1.5 or 1, time.monotonic())
        self.engine = Engine(targets, probers, self.plan, report)
        gc.collect()
        gc.freeze()  # as natobs.cli.serving does

    def close(self) -> None:
        """End it."""
        self.engine.close()
        self._resolver.close()


def serve(kind: KindName, port: int, hosts: list[str]) -> None:
    """Answer orders ``{"count", "burst", "pause"}``: how many, how many at once, seconds from one burst to the next.

    Each answer has ``rtts``, a list of address and seconds in the order in which the
    attempts ended, and ``cpu``, seconds for all of them.
    """
    crew = Crew(kind, hosts, port)
    _say({"ready": True})
    place = 0
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        crew.attempts.clear()
        cpu, beat = time.process_time(), time.monotonic()
        for done in range(0, order["count"], order["burst"]):
            for _probe in range(order["burst"]):
                crew.engine.begin(place)
                place = (place + 1) % len(hosts)
            beat += order["pause"]
            while len(crew.attempts) < done + order["burst"]:
                crew.engine.turn(1.0)
            while (left := beat - time.monotonic()) > 0:
                crew.engine.turn(left)
        spent = time.process_time() - cpu
        _say({"rtts": [(attempt.host, attempt.rtt) for attempt in crew.attempts], "cpu": spent})
    crew.close()


def pace(kind: KindName, port: int, hosts: list[str], rate: float, seconds: float) -> None:
    """Probe by a plan on the last core alone, and say how far the schedule slipped."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    crew = Crew(kind, hosts, port, rate)
    cpu, start = time.process_time(), time.monotonic()
    while time.monotonic() < start + seconds:
        crew.engine.turn(0.1)
    spent, elapsed = time.process_time() - cpu, time.monotonic() - start
    settled = [attempt for attempt in crew.attempts if attempt.lag >= 0][int(rate * _WARM_SECONDS) :]
    lags = [attempt.lag for attempt in settled] or [seconds]
    _say({
        "rate": len(crew.attempts) / elapsed,
        "lag_p99": quantile(lags, 0.99),
        "skipped": crew.plan.skipped,
        "failed": sum(not attempt.success for attempt in crew.attempts),
        "cpu_share": spent / elapsed,
    })  # fmt: skip
    crew.close()


def accept(port: int) -> None:
    """Accept every connection, and close it when so many others have come that it has long been said goodbye to.

    The reflector's echo does more for each, is slower than the probes, and resets what it cannot keep up with.
    """
    kept: deque[socket.socket] = deque()
    with socket.create_server(("", port), backlog=4096) as listener:
        _say({"ready": True})
        while True:
            kept.append(listener.accept()[0])
            if len(kept) > _KEPT:
                kept.popleft().close()


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """``serve KIND PORT HOST...``, ``pace KIND PORT RATE SECONDS HOST...`` or ``accept tcp PORT``."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    what, word, port, *rest = sys.argv[1:]
    kind = cast("KindName", word)
    if what == "serve":
        serve(kind, int(port), rest)
    elif what == "accept":
        accept(int(port))
    else:
        pace(kind, int(port), rest[2:], float(rest[0]), float(rest[1]))


if __name__ == "__main__":
    main()
