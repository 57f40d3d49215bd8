"""``python -m benchmarks.taps``: what the taps cost each forwarded packet, and how true their times are.

Cost: a client of the lab sends small datagrams through the NAT as fast as it can, in turns without and with taps. On
veth the whole path runs on the sender's CPU, so the time that it takes for a packet is the time of the path. Then the
same with TCP, whose packets are large until the last moment.

Truth: stamps of the NAT's neighbours, who see a packet before it enters the NAT's cable and after it has left it.
"""

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.processes import quantile
from natobs.kernel.live_tap import ProbePackets, attach_filter
from natobs.kernel.tap_filter import PROGRAM
from natobs.lab import topology, traffic
from natobs.lab.lab import Host, HostProcess, Lab

_STDERR = Console(stderr=True)
_SERVER, _DEAD = "198.51.100.1", "198.51.100.250"
_SINK_PORT = 5001
_TOKENS = Path(__file__).parent.parent / "tests" / "lab" / "tokens.py"
_ALL_PACKETS = 3
_SO_TIMESTAMPNS = 35
_BATCH, _BATCHES = 100, 200
_STREAM_SECONDS = 0.2

MODES = {
    "no tap": "nothing",
    "time stamps alone": "stamps",
    "one socket for all devices": "one",
    "a socket for each device": "each",
    "a socket for each device, no filter": "unfiltered",
}
"""What a row is called, and how the holder of the sockets knows it."""


def hold() -> None:
    """Hold the sockets of the mode that each line of standard input names; say so when they are open."""
    held: list[Any] = []
    for line in sys.stdin:
        while held:
            held.pop().close()
        match line.strip():
            case "stamps":
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[0].setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            case "one":
                held.append(ProbePackets())
            case "each":
                held += [open_tap(device, PROGRAM) for device in ("eth0", "eth1", "eth2")]
            case "unfiltered":
                held += [open_tap(device, b"") for device in ("eth0", "eth1", "eth2")]
        say("ready")


def open_tap(device: str, program: bytes) -> socket.socket:
    """A packet socket on one device."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    if program:
        attach_filter(tap, program)
    tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    tap.bind((device, _ALL_PACKETS))
    return tap


def send_datagrams() -> None:
    """For each line of standard input, the CPU nanoseconds of one datagram: lower quartile of batches."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((_DEAD, 9))
        payload, send, clock = bytes(18), sender.send, time.thread_time_ns
        for _line in sys.stdin:
            batches: list[float] = []
            for _batch in range(_BATCHES):
                start = clock()
                for _packet in range(_BATCH):
                    send(payload)
                batches.append((clock() - start) / _BATCH)
            say(str(quantile(batches, 0.25)))


def send_stream() -> None:
    """For each line of standard input, bits a second over one TCP connection."""
    with socket.create_connection((_SERVER, _SINK_PORT)) as sender:
        chunk = bytes(1 << 18)
        for _line in sys.stdin:
            sent, start = 0, time.perf_counter()
            while time.perf_counter() - start < _STREAM_SECONDS:
                sent += sender.send(chunk)
            say(str(8 * sent / (time.perf_counter() - start)))


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def sink() -> None:
    """Take connections one after another, and throw away what comes."""
    with socket.create_server((_SERVER, _SINK_PORT)) as listener:
        say("ready")
        room = bytearray(1 << 20)
        while True:
            connection, _address = listener.accept()
            with connection:
                while connection.recv_into(room):
                    pass


@contextmanager
def running(host: Host, argv: list[str]) -> Iterator[HostProcess]:
    """A program that says when it is ready, while the block runs."""
    process = host.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
    if traffic.first_line(process, 20) != "ready":
        sys.exit(f"bench: {argv} did not start")
    try:
        yield process
    finally:
        process.close()


def itself(host: Host, part: str) -> list[str]:
    """The command line of a part of this benchmark."""
    return host.python("benchmarks.taps", "--part", part)


def ask(process: HostProcess, line: str) -> str:
    """Write a line to a part, and give the line that it answers with."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return traffic.first_line(process, 30) or sys.exit("bench: a part has ended")


def cost(lab: Lab, rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """By mode: nanoseconds of a datagram and bits a second of TCP, one of each a round."""
    client, nat, internet = lab.host("client1"), lab.host("nat"), lab.host("internet")
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in MODES}
    with running(internet, itself(internet, "sink")):
        holder, datagrams, stream = (
            host.popen(itself(host, part), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
            for host, part in ((nat, "hold"), (client, "datagrams"), (client, "stream"))
        )
        for number in track(range(rounds), "cost", console=_STDERR):
            order = list(MODES.items())
            for name, mode in order[number % len(order) :] + order[: number % len(order)]:
                ask(holder, mode)
                for place, part in enumerate((datagrams, stream)):
                    found[name][place].append(float(ask(part, "now")))
        for process in (holder, datagrams, stream):
            process.close()
    return found


def residence(lab: Lab, count: int) -> dict[str, tuple[list[int], list[int]]]:
    """By direction: nanoseconds by the taps, and by the neighbours' stamps."""
    client, nat = lab.host("client1"), lab.host("nat")
    neighbours = {"switch": "gateway1", "internet": "eth0"}
    captures = {
        name: lab.host(name).popen(
            [sys.executable, str(_TOKENS), "capture", device], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name, device in neighbours.items()
    }
    taps = nat.popen(itself(nat, "passages"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
    for process in (*captures.values(), taps):
        traffic.first_line(process, 20)
    client.run([sys.executable, str(_TOKENS), "send", _SERVER, "862", str(count), "0.002"], timeout=60)
    times = {
        name: {(outgoing, token): at for _device, outgoing, token, at in json.loads(process.popen.communicate()[0])}
        for name, process in captures.items()
    }
    inside, outside = times["switch"], times["internet"]
    tokens = {token for _outgoing, token in inside}
    truth = {
        "out": [outside[False, one] - inside[True, one] for one in tokens],
        "back": [inside[False, one] - outside[True, one] for one in tokens],
    }
    found: dict[str, list[int]] = {"out": [], "back": []}
    for direction, nanoseconds in json.loads(taps.popen.communicate()[0]):
        found[direction].append(nanoseconds)
    return {direction: (found[direction], truth[direction]) for direction in truth}


def passages() -> None:
    """Be the tap until standard input ends, then print the times of all packets."""
    from natobs.collectors.taps import TapsCollector  # noqa: PLC0415 - only this part is the agent
    from natobs.config import Nat  # noqa: PLC0415 - the same
    from natobs.kernel import tap  # noqa: PLC0415 - the same
    from natobs.kernel.address import Prefixes  # noqa: PLC0415 - the same
    from natobs.kernel.residence import Passages  # noqa: PLC0415 - the same

    stream, subject = ProbePackets(), Passages(Prefixes(tuple(prefix.network for prefix in Nat().inside)))
    stream.read()
    say("ready")
    found = []
    ended = False
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], TapsCollector.tick_seconds)[0])
        for message in iter(stream.read, None):
            found += subject.see(tap.parse(message), time.monotonic())
        found += subject.settle(time.monotonic())
    found += subject.settle(time.monotonic() + 10)
    json.dump([(one.direction, one.nanoseconds) for one in found if one.nanoseconds is not None], sys.stdout)


def report_cost(found: dict[str, tuple[list[float], list[float]]]) -> None:
    """The table of costs."""
    table = Table(title="cost for a forwarded packet; medians, spread is that of the middle half")
    for column in ("", "ns a datagram", "spread", "more than without", "TCP Gbit/s"):
        table.add_column(column, justify="left" if not column else "right")
    base = median(found["no tap"][0])
    for name, (times, bits) in found.items():
        spread = quantile(times, 0.75) - quantile(times, 0.25)
        more = median(times) - base
        table.add_row(
            name,
            f"{median(times):.0f}",
            f"{spread:.0f}",
            f"{more:+.0f} ns ({100 * more / base:+.1f} %)",
            f"{median(bits) / 1e9:.2f}",
        )
    Console(width=120).print(table)


def report_truth(rows: dict[str, dict[str, tuple[list[int], list[int]]]], count: int) -> None:
    """The table of times."""
    table = Table(title=f"residence of {count} probes, µs: the taps against the neighbours' stamps")
    for column in ("", "direction", "p50", "true p50", "p99", "true p99", "missing"):
        table.add_column(column, justify="left" if column in ("", "direction") else "right")
    for name, found in rows.items():
        for direction, (ours, truth) in found.items():
            figures = [
                quantile([float(one) for one in values], share) / 1e3
                for share in (0.5, 0.99)
                for values in (ours, truth)
            ]
            table.add_row(name, direction, *(f"{figure:.1f}" for figure in figures), str(len(truth) - len(ours)))
    Console(width=120).print(table)


def main() -> None:
    """Build the lab, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.taps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        parts: dict[str, Callable[[], None]] = {
            "hold": hold,
            "sink": sink,
            "passages": passages,
            "datagrams": send_datagrams,
            "stream": send_stream,
        }
        parts[options.part]()
        return
    with Lab(topology.two_armed("bench-taps")) as lab:
        report_cost(cost(lab, options.rounds))
        internet, nat = lab.host("internet"), lab.host("nat")
        with running(internet, [sys.executable, str(_TOKENS), "answer", _SERVER, "862"]):
            rows = {"plain veth": residence(lab, options.probes)}
            # Has veth's receiving side poll, as NICs do, and in a thread, as where softirqs are deferred.
            lab.host("switch").run(["ethtool", "-K", "gateway1", "tso", "off"])
            nat.run(["sh", "-c", "ethtool -K eth1 gro on && echo 1 > /sys/class/net/eth1/threaded"])
            rows["threaded NAPI on the inner veth"] = residence(lab, options.probes)
        report_truth(rows, options.probes)


if __name__ == "__main__":
    main()
