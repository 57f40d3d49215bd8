"""``python -m benchmarks.events``: what it costs to hear of every conntrack entry that ends, and what is missed.

The table of a lab's NAT is filled and flushed, in turns with nobody who listens, with a reader in Python that takes
each event and picks three attributes, and with natobs' stream, of which the kernel does the counting. A flush is the
hardest case: all events come at once. CPU time of the flush is the kernel's, of the listener the listener's own.
"""

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from natobs.kernel import conntrack_events, netlink
from natobs.kernel.conntrack_filter import CTA_PROTOINFO, CTA_STATUS, CTA_TIMEOUT, Death
from natobs.kernel.live_conntrack_events import ConntrackDeaths
from natobs.lab import entries, topology
from natobs.lab.lab import Host, Lab
from natobs.lab.traffic import first_line

_STDERR = Console(stderr=True)
_GROUP_DESTROY = 1 << 2
_SO_RCVBUFFORCE = 33
_READER_BYTES = 4 * 1024 * 1024
_SECONDS = 30.0
MODES = ("nobody", "reader", "natobs")

_FLUSH = """
import resource, subprocess
subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""


def listen(mode: str) -> None:
    """Listen until standard input ends, and say how many events were counted and the CPU time that it took."""
    counted = 0
    if mode == "natobs":
        stream = ConntrackDeaths()
        _say("listening")
        before = time.process_time()
        while not select.select([sys.stdin], [], [], 1.0)[0]:
            counted = _look(stream)
        counted = _look(stream)
    elif mode == "reader":
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, netlink.NETLINK_NETFILTER
        ) as heard:
            heard.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _READER_BYTES)
            heard.bind((0, _GROUP_DESTROY))
            _say("listening")
            before = time.process_time()
            while sys.stdin not in (ready := select.select([sys.stdin, heard], [], [])[0]) or heard in ready:
                counted += _read(heard)
    else:
        _say("listening")
        before = time.process_time()
        sys.stdin.read()
    _say(json.dumps([counted, time.process_time() - before]))


def _look(stream: ConntrackDeaths) -> int:
    count = 0
    for message in iter(stream.read, None):
        if message:
            count = conntrack_events.parse(message).counts[Death.ANY_TCP]
    return count


def _read(heard: socket.socket) -> int:
    count = 0
    while True:
        try:
            event = heard.recv(4096)
        except BlockingIOError:
            return count
        except OSError:  # events were lost
            continue
        for _kind, _flags, _sequence, body in netlink.headers(event):
            netlink.pick(body, {CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT}, 4)
            count += 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def flush(nat: Host, mode: str, count: int) -> tuple[float, float, int]:
    """Fill and flush the table once.

    Returns:
        CPU seconds of the flush and of the listener, and how many events the listener counted.
    """
    command = nat.python("benchmarks.events", "--part", mode)
    listener = nat.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert first_line(listener, _SECONDS) == "listening"
        entries.load(nat, count)
        spent = float(nat.run([sys.executable, "-c", _FLUSH]).stdout)
        assert listener.stdin is not None
        listener.stdin.close()
        counted, used = json.loads(first_line(listener, _SECONDS))
        return spent, used, counted
    finally:
        listener.close()


def main() -> None:
    """Build the lab, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--part", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        listen(options.part)
        return
    found: dict[str, list[tuple[float, float, int]]] = {mode: [] for mode in MODES}
    with Lab(topology.two_armed("bench-events")) as lab:
        for _round in track(range(options.rounds), "flushing", console=_STDERR):
            for mode in MODES:
                found[mode].append(flush(lab.host("nat"), mode, options.entries))
    table = Table(title=f"flush of {options.entries:,} entries, median of {options.rounds}")
    for column in ("who listens", "kernel, µs an entry", "listener, µs an entry", "counted"):
        table.add_column(column, justify="left" if column == "who listens" else "right")
    for mode, rounds in found.items():
        spent, used = (median(one[place] for one in rounds) / options.entries * 1e6 for place in (0, 1))
        table.add_row(mode, f"{spent:.1f}", f"{used:.2f}", f"{median(one[2] for one in rounds):,.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
