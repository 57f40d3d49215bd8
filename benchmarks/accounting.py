"""``python -m benchmarks.accounting``: what the accounting table costs the flows that it counts, and to be read.

A client of the lab does the same thing through the NAT with accounting off and on, in turns of some hundredths of a
second. On veth the whole path, both ways, runs on the sender's CPU: the CPU time that a flow or packet takes of the
sender is the time of the path, and what others do meanwhile is not in it. Where the server sends too, the CPU time of
both counts. A pair is made of eight turns each way; its figures are the lower quartiles of all their batches.
"""

import argparse
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import cycle
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.processes import cpu_seconds, quantile
from benchmarks.taps import ask, running, say
from natobs.collectors.accounting import wanted
from natobs.config import Config
from natobs.kernel import accounting_install, nft_sets
from natobs.kernel.live import LiveMachine
from natobs.lab import topology
from natobs.lab.lab import HostProcess, Lab

_STDERR = Console(stderr=True)
_SERVER = "198.51.100.1"
_ECHO, _DISCARD, _SINK = 7, 9, 5001
_QUESTION = b"answer"
_SOURCES = [f"10.0.1.{number}" for number in range(50, 100)]
"""Addresses that the client takes besides its own: as many hosts for the NAT."""
_BATCH = 50
_TURNS = 8
_STREAM_SECONDS = 0.1
_ETH_P_IP = 0x0800
_LONG = {"stream", "datagrams"}
"""Kinds that use one flow all the time."""
_BOTH_ENDS = {"stream", "query"}
"""Kinds whose server sends as much as their client: how many flows or kilobytes there were is told after each turn."""
ELEMENTS = 16_384
_TABLE = (
    "table inet bench { set s { type ipv4_addr . inet_proto . inet_service; size 16384; flags dynamic; counter; }; }\n"
)

WORK = {
    "udp": ("new UDP flows, one datagram each", 12, 0.05),
    "query": ("new UDP flows, one datagram and its answer", 12, 0.05),
    "tcp": ("new TCP connections, opened and closed", 8, 0.05),
    "frames": ("new UDP flows, as frames past the client's sockets", 30, None),
    "stream": ("one TCP connection as fast as it can", 1, 0.02),
    "datagrams": ("one answered UDP flow, datagrams of 18 bytes", 30, None),
}
"""Part of the client: what it does, batches in each turn, and the goal: at most so much less of it."""


def batches(count: int, flow: Callable[[], object]) -> list[float]:
    """CPU nanoseconds of one flow or packet, of each batch."""
    found = []
    for _number in range(count):
        start = time.thread_time_ns()
        for _flow in range(_BATCH):
            flow()
        found.append((time.thread_time_ns() - start) / _BATCH)
    return found


def new_flow(kind: str, source: str) -> None:
    """Open one flow from a port of its own, and close it."""
    stream = kind == "tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect((_SERVER, {"tcp": _ECHO, "query": _SINK}.get(kind, _DISCARD)))
        if not stream:
            sock.send(_QUESTION)
        if kind == "query":
            sock.recv(2048)


def frames(gateway: str) -> Iterator[bytes]:
    """IPv4 frames with a UDP datagram, each of another flow."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", _ETH_P_IP))
        mine = raw.getsockname()[4]
    head = bytes.fromhex(gateway.replace(":", "")) + mine + _ETH_P_IP.to_bytes(2, "big")
    for number, source in enumerate(cycle(_SOURCES)):
        port = 1024 + number // len(_SOURCES) % 60_000
        addresses = socket.inet_aton(source) + socket.inet_aton(_SERVER)
        words = bytes.fromhex("4500 0021 0000 0000 4011 0000") + addresses  # IPv4, 33 bytes, TTL 64, UDP
        total = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2))
        checksum = 0xFFFF - (total % 0xFFFF)
        udp = port.to_bytes(2, "big") + bytes.fromhex("0009 000d 0000") + b"bench"
        yield head + words[:10] + checksum.to_bytes(2, "big") + words[12:] + udp


def work(kind: str, gateway: str) -> None:
    """For each line of standard input, do it and say what one took."""
    count = WORK[kind][1]
    sources = cycle(_SOURCES)
    if kind == "frames":
        ready = frames(gateway)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", _ETH_P_IP))
            for _line in sys.stdin:
                sending = map(raw.send, [next(ready) for _frame in range(count * _BATCH)])
                say(json.dumps(batches(count, partial(next, sending))))
    elif kind == "datagrams":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((_SERVER, _SINK))
            payload = bytes(18)
            for _line in sys.stdin:
                sender.send(_QUESTION)
                sender.recv(64)
                say(json.dumps(batches(count, lambda: sender.send(payload))))
    elif kind == "stream":
        with socket.create_connection((_SERVER, _SINK)) as sender:
            chunk = bytes(1 << 18)
            for _line in sys.stdin:
                sent, start = 0, time.perf_counter()
                while time.perf_counter() - start < _STREAM_SECONDS:
                    sent += sender.send(chunk)
                say(json.dumps([sent / 1000]))
    else:
        for _line in sys.stdin:
            found = batches(count, lambda: new_flow(kind, next(sources)))
            say(json.dumps([count * _BATCH] if kind in _BOTH_ENDS else found))


def sink() -> None:
    """Throw away what comes over TCP and UDP; answer a datagram that asks for it."""
    with (
        socket.create_server((_SERVER, _SINK)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind((_SERVER, _SINK))
        say("ready")
        room = bytearray(1 << 20)
        open_ones: list[socket.socket] = [listener, datagrams]
        while True:
            for ready in select.select(open_ones, [], [])[0]:
                if ready is listener:
                    open_ones.append(listener.accept()[0])
                elif ready is datagrams:
                    size, peer = datagrams.recvfrom_into(room)
                    if room[:size] == _QUESTION:
                        datagrams.sendto(b"yes", peer)
                elif not ready.recv_into(room):
                    open_ones.remove(ready)
                    ready.close()


def read_sets() -> None:
    """Fill a set, then print the CPU milliseconds of receiving it alone and of reading it, of pairs."""
    fill = ", ".join(
        f"10.{number >> 16}.{number >> 8 & 255}.{number & 255} . tcp . 443 counter packets {number} bytes {40 * number}"
        for number in range(ELEMENTS)
    )
    text = f"{_TABLE}add element inet bench s {{ {fill} }}\n"
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    query = nft_sets.query(1, "bench", "s")
    pairs: list[list[float]] = []
    with closing(LiveMachine()) as machine:
        if len(nft_sets.read(machine, query)) != ELEMENTS:
            sys.exit("bench: elements are missing")
        for _round in range(11):
            pairs.append([])
            for look in (machine.ask, lambda one: nft_sets.read(machine, one)):
                start = time.process_time()
                look(query)
                pairs[-1].append(1000 * (time.process_time() - start))
    subprocess.run(["nft", "delete", "table", "inet", "bench"], check=True)
    say(json.dumps(pairs))


def switch() -> None:
    """For each line of standard input, have accounting or not, and no flows of before unless they are kept."""
    settings = wanted(Config())
    with closing(LiveMachine()) as machine:
        say("ready")
        for line in sys.stdin:
            state, _space, keep = line.strip().partition(" ")
            if state == "on":
                accounting_install.install(machine, settings)
            else:
                accounting_install.remove(machine)
            if not keep:
                subprocess.run(["conntrack", "-F"], check=True, capture_output=True)
            say("done")


def measure(client: HostProcess, server: HostProcess, kind: str) -> list[float]:
    """Nanoseconds of one, of each batch; or of both ends' CPU, of all of them."""
    before = cpu_seconds(client.pid) + cpu_seconds(server.pid)
    said: list[float] = json.loads(ask(client, "now"))
    if kind in _BOTH_ENDS:
        return [1e9 * (cpu_seconds(client.pid) + cpu_seconds(server.pid) - before) / said[0]]
    return said


def flows(lab: Lab, rounds: int, kinds: list[str]) -> dict[str, list[tuple[float, float]]]:
    """By kind, what one took with accounting off and on, of pairs."""
    client, nat, internet = lab.host("client1"), lab.host("nat"), lab.host("internet")
    client.run(["ip", "-batch", "-"], stdin="".join(f"addr add {one}/24 dev eth0\n" for one in _SOURCES))
    (gateway,) = json.loads(nat.run(["ip", "-j", "link", "show", "eth1"]).stdout)
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with (
        running(nat, nat.python("benchmarks.accounting", "--part", "switch")) as table,
        running(internet, internet.python("benchmarks.accounting", "--part", "sink")) as server,
        running(internet, internet.python("natobs.lab.servers", *lab.topology.server_addresses(4))),
    ):
        for kind in track(kinds, "flows", console=_STDERR):
            part = client.python("benchmarks.accounting", "--part", kind, "--gateway", gateway["address"])
            process = client.popen(part, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
            measure(process, server, kind)
            for _pair in range(rounds):
                taken: dict[str, list[float]] = {"off": [], "on": []}
                for turn in ["off", "on", "on", "off"] * (_TURNS // 2):
                    ask(table, f"{turn} keep" if kind in _LONG else turn)
                    taken[turn] += measure(process, server, kind)
                found[kind].append((quantile(taken["off"], 0.25), quantile(taken["on"], 0.25)))
            process.close()
    return found


def report(found: dict[str, list[tuple[float, float]]]) -> None:
    """The table of what accounting costs flows and packets."""
    table = Table(title="with accounting on, against off; CPU time, medians of pairs")
    for column in ("", "off", "on", "rate on/off", "from", "to", "goal"):
        table.add_column(column, justify="right" if column else "left")
    for kind, pairs in found.items():
        what, _batches, goal = WORK[kind]
        unit = "ns/kB" if kind == "stream" else "ns"
        ratios = sorted(off / on for off, on in pairs)
        table.add_row(
            what,
            f"{median(off for off, _on in pairs):.0f} {unit}",
            f"{median(on for _off, on in pairs):.0f} {unit}",
            f"{median(ratios):.3f}",
            f"{ratios[0]:.3f}",
            f"{ratios[-1]:.3f}",
            "" if goal is None else f">= {1 - goal:.2f}",
        )
    Console(width=130).print(table)


def report_sets(pairs: list[list[float]]) -> None:
    """The table of what reading costs."""
    table = Table(title=f"reading {ELEMENTS} elements; CPU time, medians of pairs")
    for column in ("receive only", "read", "ratio", "goal"):
        table.add_column(column, justify="right")
    floor, whole = (median(pair[place] for pair in pairs) for place in (0, 1))
    ratio = median(read / alone for alone, read in pairs)
    table.add_row(f"{floor:.1f} ms", f"{whole:.1f} ms", f"{ratio:.2f}", "<= 1.50")
    Console(width=130).print(table)


def main() -> None:
    """Build the lab, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accounting", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=[*WORK, "sets"], action="append")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--gateway", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    match options.part:
        case None:
            chosen = options.only or [*WORK, "sets"]
            with Lab(topology.two_armed("bench-acct")) as lab:
                report(flows(lab, options.pairs, [kind for kind in WORK if kind in chosen]))
                if "sets" in chosen:
                    nat = lab.host("nat")
                    said = nat.run(nat.python("benchmarks.accounting", "--part", "sets"), timeout=120).stdout
                    report_sets(json.loads(said))
        case "sink":
            sink()
        case "sets":
            read_sets()
        case "switch":
            switch()
        case kind:
            work(kind, options.gateway)


if __name__ == "__main__":
    main()
