"""Fills a NAT's table and keeps it so: ``python -m natobs.lab.filling TOPOLOGY ACTION ...`` on the NAT of a lab.

==================================  ======================================================================
``table KIND``                      entries of a kind (``assured``, ``one-way``) up to the limit
``ports SERVER PORT FIRST LAST``    a connection on each SNAT port of a range towards one service
==================================  ======================================================================

TOPOLOGY is that of the lab, as JSON. Prints ``full`` when it is for the first
time; assured entries have then taken the place of all that Linux would evict.
Entries of others that time out make room, which is taken within a tenth of a
second (table), unless a new flow is faster, or half a minute (ports). By SIGTERM
its connections end as if they had been closed. Knows the lines of
:mod:`natobs.lab.entries` and conntrack(8); refuses to know why.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import ClassVar

import msgspec

from natobs.lab import entries
from natobs.lab.closing import Connection, close
from natobs.lab.evicting import evict
from natobs.lab.topology import Topology

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_LIFE_SECONDS = 5 * 24 * 3600  # as long as Linux keeps an idle connection
_MOST_ROUNDS = 20
_SLICE = 2048  # entries that are tried again at a time: 40 ms of one CPU


def load(lines: Iterable[str]) -> None:
    """Have the kernel take entries; those that are there already, or find no room, are passed over."""
    with subprocess.Popen(
        ["conntrack", "-R", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    ) as loader:
        assert loader.stdin is not None
        with suppress(BrokenPipeError):  # nothing more finds room
            loader.stdin.writelines(lines)


class Filling:
    """What fills a table, step by step.

    Args:
        topology: of the lab.
    """

    pause_seconds: ClassVar[float]
    """Between two steps."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def steps(self) -> Iterator[None]:
        """Fill at the first step; each further one fills what has become free since."""
        raise NotImplementedError

    def connections(self) -> Iterator[Connection]:
        """The established connections that were made."""
        raise NotImplementedError


class Table(Filling):
    """The whole table, with entries of a kind."""

    pause_seconds = 0.05  # two small files are read; a new flow seldom finds the room of an entry that timed out

    def __init__(self, topology: Topology, kind: entries.Kind) -> None:
        super().__init__(topology)
        self._kind = kind
        self._made = 0

    def steps(self) -> Iterator[None]:
        made = (entries.lines(self._topology, entries.MOST, self._kind, seconds=_LIFE_SECONDS) for _ in count())
        lines = chain.from_iterable(made)
        self._fill(lines)
        if self._kind == "assured":
            # new flows come while it is filled, and into the room of those that go
            for _round in range(_MOST_ROUNDS):
                if not evict():
                    break
                self._fill(lines)
        while True:
            yield
            self._fill(lines)

    def _fill(self, lines: Iterator[str]) -> None:
        missing = int(_LIMIT.read_text("ascii")) - int(_COUNT.read_text("ascii"))
        if missing > 0:
            load(islice(lines, missing))
            self._made += missing

    def connections(self) -> Iterator[Connection]:
        return islice(entries.connections(self._topology), self._made if self._kind == "assured" else 0)


class Ports(Filling):
    """Ports towards one service."""

    pause_seconds = 0.25  # each step costs 40 ms of one CPU

    def __init__(self, topology: Topology, server: str, port: int, ports: range) -> None:
        super().__init__(topology)
        self._wanted = list(entries.holding(topology, server, port, ports))
        self._over = ("-p", "tcp", "--state", "TIME_WAIT", "-d", server, "--dport", str(port))

    def steps(self) -> Iterator[None]:
        lines = [entries.held_line(one, outside, seconds=_LIFE_SECONDS) for one, outside in self._wanted]
        # entries of connections that are over still have their ports
        subprocess.run(["conntrack", "-D", *self._over], capture_output=True, check=False)
        load(lines)
        yield
        for start in cycle(range(0, len(lines), _SLICE)):
            load(lines[start : start + _SLICE])
            yield

    def connections(self) -> Iterator[Connection]:
        return (connection for connection, _outside in self._wanted)


def main() -> None:
    """Do what the command line says until SIGTERM, then let the connections end."""
    match sys.argv[1:]:
        case [topology, "table", ("assured" | "one-way") as kind]:
            filling: Filling = Table(msgspec.json.decode(topology, type=Topology), kind)
        case [topology, "ports", server, port, first, last]:
            wanted = range(int(first), int(last) + 1)
            filling = Ports(msgspec.json.decode(topology, type=Topology), server, int(port), wanted)
        case _:
            sys.exit(f"usage: {__doc__}")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    try:
        for step, _ in enumerate(filling.steps()):
            if step == 0:
                sys.stdout.write("full\n")
                sys.stdout.flush()
            time.sleep(filling.pause_seconds)
    finally:
        close(filling.connections())


if __name__ == "__main__":
    main()
