"""Where a fault of natobs itself takes place: a stack that runs, what was done to its parts, what it says of itself.

Knows parts and Prometheus; refuses to know any fault, and what must hold.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from natobs.errors import LabError
from natobs.lab.lab import Host
from natobs.lab.selffaults.memory import Resident, Watch
from natobs.lab.stack.api import Series
from natobs.lab.stack.part import Part
from natobs.lab.stack.stack import Stack

COUNTERS = '{__name__=~"natobs_.+_(total|count|sum|bucket)"}'
_AGAIN_SECONDS = 60.0
_BEFORE_SCRAPES = 2.5
"""So that one at least is seen; all was well for longer than that."""


class Scene:
    """One fault's time in a stack.

    Args:
        stack: with one NAT.

    Attributes:
        began: when, in seconds after the epoch.
        restarts: how often each part was started anew, by name.
        notes: what a command said of it, a sentence each.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.began = time.time()
        self.restarts: dict[str, int] = {}
        self.notes: list[str] = []
        self._logs = {name: part.log.stat().st_size for name, part in stack.parts.items()}
        self._memory = Watch(self._pids())

    @property
    def nat(self) -> Host:
        """The NAT."""
        return self.stack.lab.host("nat")

    @property
    def scrape_seconds(self) -> float:
        """Between two scrapes."""
        return self.stack.plan.timing.scrape

    def part(self, name: str) -> Part:
        """Give a part; raises LabError where there is none of this name."""
        try:
            return self.stack.parts[name]
        except KeyError:
            raise LabError(f"no part {name!r} in the stack; there are {', '.join(self.stack.parts)}") from None

    def wait(self, scrapes: float) -> None:
        """Let so many scrapes pass."""
        time.sleep(scrapes * self.scrape_seconds)

    def kill(self, name: str) -> None:
        """End a part by SIGKILL; :meth:`start` has to follow."""
        self._note(name)
        self.part(name).kill()

    def start(self, name: str) -> None:
        """Start a part that was ended."""
        self.part(name).start()
        self.restarts[name] = self.restarts.get(name, 0) + 1

    def restart(self, name: str) -> None:
        """End a part in order and start it again."""
        self._note(name)
        self.part(name).process.close()
        self.start(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Have a part stand still while the block runs."""
        process = self.part(name).process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def instances(self) -> dict[str, int]:
        """How often the process behind each value of the label ``instance`` was started anew."""
        return {_instance(name): count for name, count in self.restarts.items()}

    def ask(self, expression: str) -> list[Series]:
        """Ask Prometheus; ``$window`` is the time since some scrapes before the fault, ``$scrapes`` how many fit in."""
        window = time.time() - self.began + _BEFORE_SCRAPES * self.scrape_seconds
        words = {"$window": f"{window * 1000:.0f}ms", "$scrapes": f"{window / self.scrape_seconds:.1f}"}
        for word, value in words.items():
            expression = expression.replace(word, value)
        return self.stack.prometheus.query(expression)

    def sum(self, expression: str) -> float:
        """Ask Prometheus for a number: the sum of what an expression gives."""
        return sum(series.value for series in self.ask(expression))

    def await_true(self, expression: str, seconds: float = _AGAIN_SECONDS) -> None:
        """Wait until an expression gives something.

        Raises:
            LabError: it did not in time, or a part has ended.
        """
        deadline = time.monotonic() + seconds
        while True:
            with suppress(LabError):  # while Prometheus itself begins
                if self.ask(expression):
                    return
            self.stack.check()
            if time.monotonic() > deadline:
                raise LabError(f"not so within {seconds:.0f} s: {expression}")
            time.sleep(self.scrape_seconds / 4)

    def await_well(self) -> None:
        """Wait until everything answers and is scraped, and every collector looks, three scrapes in a row."""
        span = int(self.scrape_seconds * 3500)
        targets = len(self.stack.plan.targets())
        self.stack.await_answers(_AGAIN_SECONDS)
        self.await_true(f"sum(sum_over_time(up[{span}ms])) >= {3 * targets} and min(min_over_time(up[{span}ms])) == 1")
        self.await_true(f"min(min_over_time(natobs_collector_success[{span}ms])) == 1")

    def said(self, name: str) -> str:
        """What a part has printed since the fault began."""
        since = self._logs.get(name, 0)
        return self.part(name).log.read_bytes()[since:].decode("utf-8", "replace")

    def memory(self) -> dict[str, Resident]:
        """The memory of natobs' parts until now."""
        return self._memory.end(self._pids())

    def _note(self, name: str) -> None:
        self._memory.note(name, self.part(name).process.pid)

    def _pids(self) -> dict[str, int]:
        return {name: part.process.pid for name, part in self.stack.parts.items() if is_natobs(name)}


def is_natobs(name: str) -> bool:
    """Whether a part of a stack is natobs: an agent, a prober or a reflector."""
    return name.split(maxsplit=1)[0] in {"agent", "prober", "reflector"}


def _instance(part: str) -> str:
    kind, _, name = part.partition(" ")
    return f"{name}-reflector" if kind == "reflector" else name
