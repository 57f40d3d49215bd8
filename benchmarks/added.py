"""``make bench-added``: how true the time is that natobs says the NAT adds, by the paired difference and by the taps.

In the lab, from a client through the NAT, with the responder of a real agent on the NAT for the second path. Truth are
captures (:mod:`benchmarks.sightings`), packet by packet: round trip at the client's interface less that of the same
packet at the NAT's outer interface; and for the taps, from cable to cable as the NAT's neighbours saw it. A round trip
begins where the request comes out of the interface's cable: a capture stamps what an interface sends before it copies
it and before the driver has it, and while all caches are cold that copy takes microseconds.
"""

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec
from rich.console import Console

from benchmarks import added_report
from benchmarks.added_report import Residence, Row
from benchmarks.delay_line import delayed
from benchmarks.probe_load import busy
from benchmarks.processes import quantile
from benchmarks.sightings import Place, Seen, captured
from natobs.lab import topology, traffic
from natobs.lab.lab import HostProcess, Lab
from natobs.probe_config import Compare, ProbeSettings
from natobs.probes import paired
from natobs.probes.companion import open_prober
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment, Unnoticed
from natobs.probes.model import Attempt, Clock, Target
from natobs.probes.plan import Plan
from natobs.probes.registry import Kinds
from natobs.probes.resolve import Resolver

SERVER, GATEWAY, DEAD = "198.51.100.1", "10.0.1.1", "198.51.100.250"
RESPONDER = f"{GATEWAY}:9653"
_AGENT = f"""
[responder]
listen = ["{RESPONDER}"]
allow = ["10.0.1.0/24"]
targets = ["198.51.100.0/24"]
rate = 1000
source_rate = 1000
"""
WINDOW_PAIRS = 60
"""Of one window: a probe file's default, ten minutes with a pair every ten seconds."""
_PAUSE_SECONDS = 0.01
_ACCESS_EVERY = 4
_RULES = 4000
_LOAD_BURST, _LOAD_PAUSE = 20, 0.004
_PATH_SECONDS, _SCATTER_SECONDS = 0.0013, 0.00067
_SETTLE_SECONDS = 1.5
"""The taps give up a packet that was seen at one end only after a second."""
_CAPTURES = [("client1", "eth0"), ("switch", "client1"), ("switch", "gateway1"), ("nat", "eth0"), ("internet", "eth0")]
_STDERR = Console(stderr=True)


@dataclass(frozen=True)
class Said:
    """What the client's engine said of its pairs, in the order in which they were sent.

    Args:
        through: round trips through the NAT in seconds; None where there was none by the kernel's clock.
        direct: the responder's of the same pairs.
        access: round trips to the NAT itself.
    """

    through: list[float | None]
    direct: list[float | None]
    access: list[float]


def pairs(count: int) -> None:
    """Be the client: make so many pairs, and print what came of them."""
    gateway = ProbeSettings(
        name="access", kind="icmp", targets=(GATEWAY,), access=True, interval_seconds=10, timeout_seconds=1, retries=0
    )
    compared = msgspec.structs.replace(
        gateway, name="pairs", targets=(SERVER,), access=False, compare=Compare(responder=RESPONDER)
    )
    targets = [Target(compared, SERVER), Target(gateway, GATEWAY)]
    environment, kinds = Environment(Resolver(60), Unnoticed()), Kinds()
    ended: list[Attempt] = []
    probers = [open_prober(target, kinds, environment) for target in targets]
    engine = Engine(targets, probers, Plan((), 1e6, time.monotonic()), ended.append)
    beat = time.monotonic()
    for number in range(count):
        engine.begin(0)
        if number % _ACCESS_EVERY == 0:
            engine.begin(1)
        beat += _PAUSE_SECONDS
        while engine.in_flight or time.monotonic() < beat:
            engine.turn(max(0.0, beat - time.monotonic()) if not engine.in_flight else 1.0)
    engine.close()
    through = {one.pair: _rtt(one) for one in ended if one.target == targets[0] and not one.companion}
    direct = {one.pair: _rtt(one) for one in ended if one.companion}
    access = [rtt for one in ended if one.target == targets[1] and (rtt := _rtt(one)) is not None]
    json.dump([list(through.values()), [direct[pair] for pair in through], access], sys.stdout)


def _rtt(attempt: Attempt) -> float | None:
    return None if attempt.outcome.clock is Clock.USERSPACE else attempt.outcome.rtt


def load() -> None:
    """Be another client: send datagrams through the NAT to nobody, until standard input ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((DEAD, 9))
        while not select.select([sys.stdin], [], [], _LOAD_PAUSE)[0]:
            for _packet in range(_LOAD_BURST):
                sender.send(bytes(64))


@contextmanager
def loaded(lab: Lab) -> Iterator[None]:
    """Let another client's packets pass the NAT, and every packet thousands of rules, while the block runs."""
    nat, client = lab.host("nat"), lab.host("client3")
    rules = (f"add rule ip slow c ip daddr 192.0.2.{n % 250} tcp dport {n}" for n in range(1, _RULES))
    chain = "add table ip slow; add chain ip slow c { type filter hook forward priority -10; }"
    nat.run(["nft", "-f", "-"], stdin="\n".join([chain, *rules]))
    sender = client.popen(client.python("benchmarks.added", "--part", "load"), stdin=subprocess.PIPE, stderr=None)
    try:
        yield
    finally:
        sender.popen.communicate(timeout=10)
        nat.run(["nft", "delete", "table", "ip", "slow"])


def scenarios(lab: Lab) -> dict[str, Callable[[], AbstractContextManager[None]]]:
    """What the lab is put through, by the name of the row."""
    return {
        "idle": nullcontext,
        f"NAT loaded, {_RULES} rules": lambda: loaded(lab),
        "path delayed, 1.3 ms": lambda: delayed(lab, _PATH_SECONDS, 0),
        "path jittery, sigma 0.67 ms": lambda: delayed(lab, _PATH_SECONDS, _SCATTER_SECONDS),
        "probe host busy": lambda: busy(os.cpu_count() or 1),
    }


def measure(lab: Lab, name: str, count: int) -> Row:
    """One row, with the lab as it is now."""
    client, nat = lab.host("client1"), lab.host("nat")
    taps = nat.popen(nat.python("benchmarks.taps", "--part", "passages"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    traffic.first_line(taps, 20)
    with captured(lab, _CAPTURES) as seen:
        words = client.python("benchmarks.added", "--part", "pairs", "--pairs", str(count))
        said = Said(*json.loads(client.run(words, timeout=count * 0.2 + 60).stdout))
        time.sleep(_SETTLE_SECONDS)
    return _row(name, said, _truth(seen), _residence(seen, json.loads(taps.popen.communicate(timeout=30)[0])))


def _truth(seen: dict[Place, Seen]) -> list[float | None]:
    """Seconds that the NAT added to each packet, in the order in which they were sent; None where one was lost."""
    whole = _trips(seen["switch", "client1", SERVER], seen["client1", "eth0", SERVER])
    beyond = _trips(seen["internet", "eth0", SERVER], seen["nat", "eth0", SERVER])
    sent = seen["client1", "eth0", SERVER].left
    return [
        (whole[token] - beyond[token]) / 1e9 if token in whole and token in beyond else None
        for token in sorted(sent, key=sent.__getitem__)
    ]


def _trips(far: Seen, near: Seen) -> dict[str, int]:
    """Nanoseconds from the far end of a cable, where requests come out, until their answers come to its near end."""
    return {token: at - far.came[token] for token, at in near.came.items() if token in far.came}


def _residence(seen: dict[Place, Seen], found: list[tuple[str, int]]) -> list[Residence]:
    """The taps' times beside those of the NAT's neighbours."""
    inside, outside = seen["switch", "gateway1", SERVER], seen["internet", "eth0", SERVER]
    truth = {"out": _between(inside.left, outside.came), "back": _between(outside.left, inside.came)}
    return [
        Residence(way, [nanoseconds / 1e9 for one, nanoseconds in found if one == way], true)
        for way, true in truth.items()
    ]


def _between(first: dict[str, int], then: dict[str, int]) -> list[float]:
    return [(then[token] - at) / 1e9 for token, at in first.items() if token in then]


def _row(name: str, said: Said, truth: list[float | None], residence: list[Residence]) -> Row:
    if len(truth) != len(said.through):
        raise LookupError(f"{name}: {len(said.through)} pairs, but {len(truth)} packets in the capture")
    whole = [
        (through, direct, true)
        for through, direct, true in zip(said.through, said.direct, truth, strict=True)
        if through is not None and direct is not None and true is not None
    ]
    latest = whole[-paired.MOST_PAIRS :]
    window = paired.Window(1e9)
    for through, direct, _true in latest:
        window.add(0.0, through, direct)
    difference = window.difference(0.0)
    if difference is None:
        raise LookupError(f"{name}: no pair at all")
    cuts = [*range(0, len(whole) + 1, WINDOW_PAIRS)]
    truths = [true for _through, _direct, true in whole]
    return Row(
        name=name,
        pairs=len(truth),
        unmeasured=len(truth) - len(whole),
        truth_p50=median(truths),
        truth_p99=quantile(truths, 0.99),
        latest=median(true for _through, _direct, true in latest),
        difference=difference,
        windows=[_covers(whole[start:end]) for start, end in pairwise(cuts)],
        access=median(said.access),
        residence=residence,
    )


def _covers(window: list[tuple[float, float, float]]) -> bool:
    """Whether the interval of one window holds the median of what was added to its own packets."""
    low, high = paired.interval(sorted(through - direct for through, direct, _true in window))
    return low is not None and high is not None and low <= median(true for _t, _d, true in window) <= high


@contextmanager
def agent(lab: Lab) -> Iterator[HostProcess]:
    """A real agent on the NAT, with its responder."""
    nat = lab.host("nat")
    with TemporaryDirectory() as directory:
        config = Path(directory) / "natobs.toml"
        config.write_text(_AGENT, "utf-8")
        process = nat.popen(
            nat.python("natobs", "agent", "--config", str(config), "--no-probes", "--listen", "127.0.0.1:9650"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        traffic.first_line(process, 20)
        yield process
        process.close()


def main() -> None:
    """Build the lab, measure in every scenario, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.added", description=__doc__)
    parser.add_argument("--pairs", type=int, default=3000, help="in each scenario")
    parser.add_argument("--quick", action="store_true", help="600 pairs: under two minutes")
    parser.add_argument("--part", choices=["pairs", "load"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "pairs":
        pairs(options.pairs)
        return
    if options.part == "load":
        load()
        return
    rows = []
    with Lab(topology.two_armed("bench-added")) as lab, agent(lab):
        for name, scenario in scenarios(lab).items():
            _STDERR.print(name)
            with scenario():
                time.sleep(_SETTLE_SECONDS)
                rows.append(measure(lab, name, 600 if options.quick else options.pairs))
    added_report.show(rows, WINDOW_PAIRS)


if __name__ == "__main__":
    main()
