"""``make bench-probes``: how true natobs' round trips are, beside other probers, and what they cost.

In the lab, from a client through the NAT. Truth is what the kernel stamped on the
client's own interface (:mod:`benchmarks.probe_truth`). All probers take turns in
rounds, with the machine idle and with every core busy. Peers are those of
Debian's packages that are on PATH; those missing are named.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial

from rich.console import Console
from rich.progress import track

from benchmarks import probe_load, probe_report
from benchmarks.probe_peers import (
    ACCEPT_PORT,
    IRTT_PORT,
    REFLECTOR,
    STAMP_PORT,
    TCP_PORT,
    Batch,
    Blackbox,
    Natobs,
    Peer,
    Smokeping,
    fping,
    irtt,
    ping,
)
from benchmarks.probe_report import Row
from benchmarks.probe_truth import Capture
from natobs.errors import LabError
from natobs.lab import topology
from natobs.lab.lab import Lab
from natobs.probe_config import KindName

_BATCH = 50
"""Probes of one prober before the next one's turn."""
_TOGETHER = 50
_STDERR = Console(stderr=True)


@dataclass
class Series:
    """Everything measured of one prober under one load, in seconds."""

    name: str
    load: str
    protocol: str
    errors: list[float] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    sent: int = 0

    def add(self, batch: Batch, truth: dict[str, list[float | None]]) -> None:
        """Join what was said with what was seen: by address, in order; where their numbers differ, not at all."""
        self.costs.append(batch.cpu)
        self.sent += len(batch.rtts)
        said: dict[str, list[float | None]] = {}
        for address, rtt in batch.rtts:
            said.setdefault(address, []).append(rtt)
        for address, rtts in said.items():
            # A prober that is ended by force may have sent more than it had time to say.
            seen = truth.get(address, [])
            pairs = list(zip(rtts, seen, strict=False))
            if len(seen) < len(rtts) or any(true is None and rtt is not None for rtt, true in pairs):
                continue  # an answer that never came: the order no longer tells which is which
            for rtt, true in pairs:
                if rtt is not None and true is not None:
                    self.errors.append(rtt - true)
                    self.truths.append(true)


def peers(stack: ExitStack, hosts: Sequence[str]) -> tuple[list[Peer], list[str]]:
    """Start every prober, and say which could not be."""
    makers: list[tuple[str, Callable[[], Peer]]] = [
        ("natobs icmp", lambda: Natobs("icmp", hosts)),
        ("natobs udp", lambda: Natobs("udp", hosts)),
        ("natobs tcp", lambda: Natobs("tcp", hosts)),
        ("ping", lambda: ping(hosts[0])),
        ("fping", lambda: fping(hosts[0])),
        ("irtt", irtt),
        ("blackbox icmp", lambda: Blackbox("icmp", hosts, 9715)),
        ("blackbox tcp", lambda: Blackbox("tcp", hosts, 9716)),
        ("smokeping_prober icmp", lambda: Smokeping(hosts[0], 9717)),
    ]
    found: list[Peer] = []
    missing: list[str] = []
    for name, make in makers:
        try:
            peer = make()
            stack.callback(peer.close)
            answered = any(rtt is not None for _address, rtt in peer.batch(5).rtts)
        except OSError as error:
            missing.append(f"{name}: {error}")
            continue
        if answered:
            found.append(peer)
        else:
            missing.append(f"{name}: none of its first probes was answered")
    return found, missing


def accuracy(everybody: list[Peer], probes: int, load: str) -> tuple[list[Series], int]:
    """Rounds in which each has its turn, in an order that rotates; and the packets that the capture missed."""
    turns: list[tuple[Series, Peer, Callable[[int], Batch]]] = [
        (Series(peer.name, load, peer.protocol), peer, peer.batch) for peer in everybody
    ]
    turns += [
        (
            Series(f"{peer.name}, {_TOGETHER} in flight", load, peer.protocol),
            peer,
            partial(peer.burst, together=_TOGETHER, pause=0.1),
        )
        for peer in everybody
        if isinstance(peer, Natobs)
    ]
    missed = 0
    for turn in track(range(max(1, probes // _BATCH)), f"in turns, {load}", console=_STDERR):
        place = turn % len(turns)
        for series, peer, send in turns[place:] + turns[:place]:
            with Capture(peer.protocol) as capture:
                batch = send(_BATCH)
                time.sleep(0.01)  # what is still under way
                series.add(batch, capture.exchanges())
                missed += capture.missed
    return [series for series, _peer, _send in turns], missed


def measure(probes: int, *, quick: bool) -> probe_report.Results:
    """Everything, from inside the client."""
    hosts = probe_load.addresses(_TOGETHER)
    cores = os.cpu_count() or 1
    with ExitStack() as stack:
        everybody, missing = peers(stack, hosts)
        series: list[Series] = []
        missed = 0
        for load, context in (("idle", nullcontext()), ("busy", probe_load.busy(cores))):
            with context:
                found, lost = accuracy(everybody, probes, load)
            series += found
            missed += lost
        _STDERR.print("what falls due together")
        together = probe_load.together(
            [peer for peer in everybody if isinstance(peer, Natobs)],
            [peer for peer in everybody if isinstance(peer, Blackbox)],
            probes,
        )
    _STDERR.print("probes a second on one core")
    plans: list[tuple[KindName, int]] = [("icmp", 1000), ("tcp", 1000)]
    plans += [] if quick else [("icmp", 10_000), ("udp", 1000)]
    rates = probe_load.RATES[:2] if quick else probe_load.RATES
    paces = [probe_load.pace(kind, targets, rates, 2 if quick else 4) for kind, targets in plans]
    _STDERR.print("memory")
    sizes = probe_load.sizes([10, 1000] if quick else [10, 1000, 10_000], 2 if quick else 10)
    rows = [Row.of(one.name, one.load, one.protocol, one.errors, one.truths, one.costs, one.sent) for one in series]
    return probe_report.Results(probes, rows, missing, missed, together, paces, sizes)


def serve(lab: Lab) -> None:
    """Let the lab's internet answer on many addresses: echoes, STAMP, TCP twice, irtt.

    Raises:
        LabError: the reflector did not start.
    """
    internet = lab.host("internet")
    internet.run(probe_load.reachable())
    services = ["--stamp", f"0.0.0.0:{STAMP_PORT}", "--echo", f"0.0.0.0:{TCP_PORT}", "--metrics", "127.0.0.1:9652"]
    limits = ["--rate", "1000000", "--total-rate", "1000000", "--without", "stun", "--without", "http"]
    reflector = internet.popen(internet.python("natobs", "reflector", *services, *limits), stderr=subprocess.PIPE)
    assert reflector.stderr is not None
    said = []
    for line in reflector.stderr:
        said.append(line)
        if line.strip().endswith("ready"):
            break
    else:
        raise LabError(f"the reflector did not start: {''.join(said)}")
    internet.popen(internet.python("benchmarks.probe_worker", "accept", "tcp", str(ACCEPT_PORT)))
    if shutil.which("irtt"):
        internet.popen(["irtt", "server", "-b", f"{REFLECTOR}:{IRTT_PORT}", "-i", "0"])


def main() -> None:
    """Build the lab, and measure from inside its client."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probes", description=__doc__)
    parser.add_argument("--probes", type=int, default=1000, help="of each prober, idle and again busy")
    parser.add_argument("--quick", action="store_true", help="100 probes, fewer loads: under a minute")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    probes = min(options.probes, 100) if options.quick else options.probes
    if options.inside:
        results = measure(probes, quick=options.quick)
        probe_report.show(results)
        sys.stdout.write(json.dumps(asdict(results)) + "\n")
        return
    with Lab(topology.two_armed("bench-probes")) as lab:
        serve(lab)
        client = lab.host("client1")
        arguments = ["--inside", f"--probes={probes}", *(["--quick"] if options.quick else [])]
        inside = client.popen(client.python("benchmarks.probes", *arguments), stdout=None, stderr=None)
        sys.exit(inside.wait(timeout=1800))


if __name__ == "__main__":
    main()
