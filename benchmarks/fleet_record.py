"""Records what the reference NAT exports: ``python -m benchmarks.fleet_record`` writes ``benchmarks/fleet_scrape/``.

A NAT in the lab with one subnet (two interfaces), eleven hosts of users, eight
servers, accounting installed and everything else as it is by default; behind it
a prober with the ten targets of ``probes/default.toml``, put onto the lab's
servers. Series of CPUs are doubled up to four. Comments but TYPE are left out.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from natobs.lab import topology, traffic
from natobs.lab.demo_files import probe, with_port
from natobs.lab.lab import Lab

WHERE = Path(__file__).parent / "fleet_scrape"
_CPUS = 4
_SECONDS = 150  # two censuses and all kinds of probes, several times
_RATE = "6"


def probe_file(world: topology.Topology) -> str:
    """The probes of ``probes/default.toml``, of the lab's servers."""
    servers = world.server_addresses(4)
    return "\n".join(
        (
            probe("connect", "tcp", [with_port(server, 443) for server in servers[:3]], interval=10, timeout=5),
            probe("ping", "icmp", servers[:3], interval=5, timeout=2),
            probe("resolve", "dns", [with_port(server, 53) for server in servers[:2]], interval=15, timeout=3),
            probe("address", "stun", [with_port(servers[0], 3478)], interval=30, timeout=3),
            probe("web", "http", [with_port(servers[0], 8080)], "http = { tls = false }", interval=60, timeout=10),
        )
    )


def four_cpus(lines: list[str]) -> Iterator[str]:
    """Each line; those of a CPU once for each of four."""
    found = {int(number) for line in lines for number in re.findall(r'cpu="(\d+)"', line)}
    for line in lines:
        match = re.search(r'cpu="(\d+)"', line)
        if match is None:
            yield line
            continue
        for cpu in range(int(match[1]), _CPUS, len(found)):
            yield line.replace(match[0], f'cpu="{cpu}"')


def record() -> dict[str, str]:
    """Run the lab; the scrapes of agent and prober."""
    world = replace(topology.two_armed("reference"), subnets=topology.subnets(1, clients=12), servers=8)
    with Lab(world) as lab:
        traffic.start_servers(lab)
        internet, nat, prober = lab.host("internet"), lab.host("nat"), lab.host("client1")
        internet.popen(internet.python("natobs", "reflector"))
        (lab.scratch / "probes.toml").write_text(probe_file(world), "utf-8")
        nat.run(nat.python("natobs", "accounting", "install"))
        agent = nat.popen(nat.python("natobs", "agent"), stderr=subprocess.PIPE)
        prober.popen(prober.python("natobs", "probe", "--config", "/run/probes.toml"))
        servers = [address for family in world.families for address in world.server_addresses(family)]
        for client in world.clients[1:]:
            host = lab.host(client)
            host.popen(host.python("natobs.lab.users", "--quiet", _RATE, world.dead_address(4), *servers))
        time.sleep(_SECONDS)
        if agent.poll() is not None:
            sys.exit("the agent ended")
        texts = {
            "agent": traffic.fetch(nat, "http://127.0.0.1:9650/metrics"),
            "prober": traffic.fetch(prober, "http://127.0.0.1:9651/metrics"),
        }
    return {
        name: "\n".join(four_cpus([line for line in text.splitlines() if not line.startswith("# HELP")])) + "\n"
        for name, text in texts.items()
    }


def main() -> None:
    """Record, and write what was recorded."""
    for name, text in record().items():
        path = WHERE / f"{name}.prom"
        path.write_text(text, "utf-8")
        series = sum(not line.startswith("#") for line in text.splitlines())
        sys.stdout.write(f"{path.name}: {series} series\n")


if __name__ == "__main__":
    main()
