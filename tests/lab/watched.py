"""A lab that natobs watches: an agent on the NAT that does all it can, and a prober in a private subnet."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from natobs.lab import traffic
from natobs.lab.lab import Host, Lab
from tests.lab.accounting_plan import SHORT, Step, flows
from tests.lab.agents import KeptOpen, Scrape

AGENT_PORT, PROBER_PORT = 9650, 9651
CLIENT = "client1"
_SECONDS = 30.0


class Watched:
    """What is asked of such a lab: which flows work, and what natobs says."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.nat, self.client = lab.host("nat"), lab.host(CLIENT)
        self.servers = lab.topology.server_addresses(4)
        self._scrapers: dict[str, KeptOpen] = {}

    def agent(self, *, anew: bool = False) -> Scrape:
        """One scrape of the agent; anew after it was exchanged."""
        return self._scrape(self.nat, AGENT_PORT, anew)

    def prober(self) -> Scrape:
        """One scrape of the prober."""
        return self._scrape(self.client, PROBER_PORT, anew=False)

    def answered(self, *seconds: float) -> list[float]:
        """The share of new connections that is answered, for each of four servers.

        Args:
            seconds: that they wait for an answer, for all servers or for each.
        """
        waits = seconds if len(seconds) == len(self.servers) else (seconds or (SHORT,)) * len(self.servers)
        steps: list[Step] = [("tcp", server, 443, 15, wait) for server, wait in zip(self.servers, waits, strict=True)]
        return [found["answered"] / 15 for found in flows(self.client, steps)]

    def close(self) -> None:
        for scraper in self._scrapers.values():
            scraper.close()
        self._scrapers.clear()

    def _scrape(self, host: Host, port: int, anew: bool) -> Scrape:  # noqa: FBT001 - private
        if anew and host.name in self._scrapers:
            self._scrapers.pop(host.name).close()
        if host.name not in self._scrapers:
            _await(host, port)
            self._scrapers[host.name] = KeptOpen(host, port)
        return self._scrapers[host.name].scrape()


def _await(host: Host, port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while host.run(["curl", "-sfo", "/dev/null", f"http://127.0.0.1:{port}/readyz"], check=False).returncode:
        assert time.monotonic() < deadline, f"nobody answers on port {port} of {host.name}"
        time.sleep(0.05)


@contextmanager
def watched(lab: Lab, directory: Path) -> Iterator[Watched]:
    """Watch a lab whose servers run, while the block runs."""
    topology, nat, client = lab.topology, lab.host("nat"), lab.host(CLIENT)
    internet = lab.host("internet")
    config, probes = directory / f"{topology.name}-agent.toml", directory / f"{topology.name}-probes.toml"
    inside = [network for family in topology.families for network in topology.inside(family)]
    config.write_text(
        f"nat = {{ inside = {json.dumps(inside)} }}\n"
        "census = { interval_seconds = 1, max_cpu_share = 0.25 }\n"
        'accounting = { state_file = "" }\nevents = { enabled = true }\n'
        f"operations = {{ state_file = {json.dumps(str(directory / 'operations.json'))} }}\n",
        "utf-8",
    )
    probes.write_text("\n".join(_probes(topology.server_addresses(4), topology.snat_addresses(4))), "utf-8")
    with ExitStack() as stack:
        nat.run(nat.python("natobs", "accounting", "install", "--config", str(config)))
        stack.callback(internet.popen(internet.python("natobs", "reflector")).close)
        stack.callback(nat.popen(nat.python("natobs", "agent", "--config", str(config))).close)
        argv = client.python("natobs", "probe", "--config", str(probes))
        prober = client.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        stack.callback(prober.close)
        assert "listening on" in traffic.first_line(prober, _SECONDS)
        found = Watched(lab)
        stack.callback(found.close)
        yield found


def _probes(servers: tuple[str, ...], reserved: tuple[str, ...]) -> Iterator[str]:
    more = {
        "web": ("tcp", [f"{server}:443" for server in servers], ""),
        "names": ("dns", [f"{servers[0]}:53"], 'dns = { name = "www.example" }'),
        "address": ("stun", [f"{servers[0]}:3478"], f"expect = {{ addresses = {json.dumps(reserved)} }}"),
        "size": ("pmtu", [f"{servers[0]}:4007"], "pmtu = { tcp_port = 7 }"),
    }
    for name, (kind, targets, extra) in more.items():
        yield f'[[probe]]\nname = "{name}"\nkind = "{kind}"\ntargets = {json.dumps(targets)}\ncritical = true'
        yield f"interval_seconds = 1\ntimeout_seconds = 0.8\nretries = 0\n{extra}\n"
