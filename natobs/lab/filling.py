"""Fills a NAT's table and keeps it so: ``python -m natobs.lab.filling TOPOLOGY ACTION ...`` on the NAT of a lab.

==================================  ======================================================================
``table KIND``                      entries of a kind (``assured``, ``one-way``) up to the limit
``ports SERVER PORT FIRST LAST``    a connection on each SNAT port of a range towards one service
==================================  ======================================================================

TOPOLOGY is that of the lab, as JSON. Prints ``full`` when it is for the first
time. Entries of others that time out make room, which is taken within a second
(table) or half a minute (ports). Knows the lines of :mod:`natobs.lab.entries`
and conntrack(8); refuses to know why.
"""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, count, cycle, islice
from pathlib import Path

import msgspec

from natobs.lab import entries
from natobs.lab.topology import Topology

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_LOOK_SECONDS = 0.25
_LIFE_SECONDS = 5 * 24 * 3600  # as long as Linux keeps an idle connection
_SLICE = 2048  # entries that are tried again at a time: 40 ms of one CPU


def load(lines: Iterable[str]) -> None:
    """Have the kernel take entries; those that are there already, or find no room, are passed over."""
    with subprocess.Popen(
        ["conntrack", "-R", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    ) as loader:
        assert loader.stdin is not None
        with suppress(BrokenPipeError):  # nothing more finds room
            loader.stdin.writelines(lines)


def fill_table(topology: Topology, kind: entries.Kind) -> Iterator[None]:
    """Fill the whole table; each step fills what has become free since."""
    lines = chain.from_iterable(entries.lines(topology, entries.MOST, kind, seconds=_LIFE_SECONDS) for _ in count())
    while True:
        missing = int(_LIMIT.read_text("ascii")) - int(_COUNT.read_text("ascii"))
        if missing > 0:
            load(islice(lines, missing))
        yield


def hold_ports(topology: Topology, server: str, port: int, ports: range) -> Iterator[None]:
    """Hold ports towards one service; each step after the first tries some of them again."""
    # entries of connections that are over still have their ports
    over = ("-p", "tcp", "--state", "TIME_WAIT", "-d", server, "--dport", str(port))
    subprocess.run(["conntrack", "-D", *over], capture_output=True, check=False)
    wanted = list(entries.holding(topology, server, port, ports, seconds=_LIFE_SECONDS))
    load(wanted)
    yield
    for start in cycle(range(0, len(wanted), _SLICE)):
        load(wanted[start : start + _SLICE])
        yield


def main() -> None:
    """Do what the command line says until this process is ended."""
    match sys.argv[1:]:
        case [topology, "table", ("assured" | "one-way") as kind]:
            steps = fill_table(msgspec.json.decode(topology, type=Topology), kind)
        case [topology, "ports", server, port, first, last]:
            wanted = range(int(first), int(last) + 1)
            steps = hold_ports(msgspec.json.decode(topology, type=Topology), server, int(port), wanted)
        case _:
            sys.exit(f"usage: {__doc__}")
    next(steps)
    sys.stdout.write("full\n")
    sys.stdout.flush()
    for _step in steps:
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    main()
