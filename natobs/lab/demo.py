"""A lab with everything in it: servers, users and a prober behind the NAT, the agent with probes on it, a port outside.

Knows how the parts fit together and how to end them; refuses to know how they
are shown (``natobs lab demo`` does that).
"""

import json
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from natobs.errors import LabError
from natobs.lab.demo_files import agent_file, probe_file
from natobs.lab.lab import HostProcess, Lab
from natobs.lab.relay import LOOPBACK, Way, listening
from natobs.lab.topology import Topology
from natobs.lab.traffic import fetch, start_servers

AGENT_PORT = 9650
"""Where the agent listens inside the NAT, and where it is shown outside if that is free."""

_WITHIN = Path("/run/demo")
"""Where its files lie, as programs of the lab see it."""
_RATE = 10.0  # flows that begin each second at each client
_AGENT_SECONDS = 15.0


class Demo:
    """A demo that runs: where to look, and what its users have seen so far."""

    def __init__(self, lab: Lab, port: int, users: list[HostProcess], agent: HostProcess, log: IO[str]) -> None:
        self.lab = lab
        self.url = f"http://{LOOPBACK}:{port}/"
        self._users = users
        self._agent = agent
        self._log = log
        self._heard = dict.fromkeys(range(len(users)), b"")
        self._counts: dict[int, dict[str, int]] = {}

    def counts(self) -> dict[str, int]:
        """Give the running totals of all users by outcome.

        Raises:
            LabError: the agent or some users ended, which they never do by themselves.
        """
        if self._agent.poll() is not None:
            raise LabError(f"the agent on the NAT ended with status {self._agent.poll()}: {_tail(self._log)}")
        for number, process in enumerate(self._users):
            if process.poll() is not None:
                raise LabError(f"the users of client{number + 1} ended with status {process.poll()}")
            self._listen(number, process)
        total: Counter[str] = Counter()
        for counts in self._counts.values():
            total.update(counts)
        return dict(total)

    def _listen(self, number: int, process: HostProcess) -> None:
        assert process.stdout is not None
        try:
            while data := os.read(process.stdout.fileno(), 65536):
                self._heard[number] += data
        except BlockingIOError:
            pass  # all that was there has been read
        *lines, self._heard[number] = self._heard[number].split(b"\n")
        if lines:
            self._counts[number] = json.loads(lines[-1])


@contextmanager
def demo(topology: Topology, port: int | None = None, agent: list[str] | None = None) -> Iterator[Demo]:
    """Run a demo while the block runs.

    Args:
        topology: what to build.
        port: port of the real loopback that shows the agent; None takes 9650, or any if that is taken.
        agent: a program that serves on 127.0.0.1:9650 in the agent's stead, with its arguments.

    Raises:
        LabError: a part did not start.
    """
    with ExitStack() as stack:
        shown = stack.enter_context(listening([AGENT_PORT, 0] if port is None else [port], "--port"))
        log = stack.enter_context(tempfile.TemporaryFile("w+", prefix="natobs-agent-"))
        lab = stack.enter_context(Lab(topology))
        start_servers(lab)
        files = lab.scratch / _WITHIN.name  # the lab's own: however this process ends, nothing of it is left
        files.mkdir()
        probes, config = _WITHIN / "probes.toml", _WITHIN / "agent.toml"
        (files / probes.name).write_text(probe_file(topology), "utf-8")
        text = agent_file(topology, str(probes), str(_WITHIN / "operations.json"))
        (files / config.name).write_text(text, "utf-8")
        internet, client = lab.host("internet"), lab.host(topology.clients[0])
        internet.popen(internet.python("natobs", "reflector"))
        users = [_start_users(lab, client) for client in topology.clients]
        nat = lab.host("nat")
        listen = f"{LOOPBACK}:{AGENT_PORT}"
        nat.run(nat.python("natobs", "accounting", "install", "--config", str(config)))
        argv = agent or nat.python("natobs", "agent", "--listen", listen, "--config", str(config))
        process = nat.popen(argv, stdout=log, stderr=subprocess.STDOUT)
        _await_agent(lab, process, log)
        client.popen(client.python("natobs", "probe", "--config", str(probes)))
        way = Way(AGENT_PORT, shown.fileno())
        nat.popen(nat.python("natobs.lab.relay", str(way)), pass_fds=(shown.fileno(),))
        yield Demo(lab, shown.getsockname()[1], users, process, log)


def _start_users(lab: Lab, client: str) -> HostProcess:
    host, topology = lab.host(client), lab.topology
    servers = [address for family in topology.families for address in topology.server_addresses(family)]
    arguments = host.python("natobs.lab.users", str(_RATE), topology.dead_address(4), *servers)
    process = host.popen(arguments, stdout=subprocess.PIPE)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    return process


def _await_agent(lab: Lab, process: HostProcess, log: IO[str]) -> None:
    deadline = time.monotonic() + _AGENT_SECONDS
    while True:
        if process.poll() is not None:
            raise LabError(f"the agent did not start on the NAT: {_tail(log)}")
        try:
            fetch(lab.host("nat"), f"http://{LOOPBACK}:{AGENT_PORT}/healthz")
        except LabError:
            if time.monotonic() > deadline:
                raise LabError(f"the agent did not answer within {_AGENT_SECONDS:.0f} s: {_tail(log)}") from None
            time.sleep(0.1)
        else:
            return


def _tail(log: IO[str]) -> str:
    log.seek(0)
    lines = log.read().split("\n")
    return " ".join(line.strip() for line in lines[-4:] if line.strip()) or "it said nothing"
