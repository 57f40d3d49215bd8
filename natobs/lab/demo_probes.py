"""What a demo probes: the servers of its internet, and one address where nobody is.

Knows addresses and the form of a probe file; refuses to know who probes, and how.
"""

from collections.abc import Sequence

from natobs.lab.topology import Topology


def probe_file(topology: Topology) -> str:
    """A probe file, TOML. Its kinds need no library beyond the agent's own.

    Args:
        topology: with servers on every address of its internet, and natobs' reflector on its usual ports.
    """
    hosts = [address for family in topology.families for address in topology.server_addresses(family)]
    return "\n".join(
        (
            _probe("web", "tcp", [_with_port(host, 443) for host in hosts[:4]], "critical = true"),
            _probe("ping", "icmp", hosts),
            _probe("path", "udp", [_with_port(hosts[0], 8862)], "critical = true"),
            _probe("address", "stun", [_with_port(hosts[0], 3478)]),
            _probe("nobody", "tcp", [_with_port(topology.dead_address(4), 443)], "retries = 0"),
        )
    )


def _probe(name: str, kind: str, targets: Sequence[str], *more: str) -> str:
    listed = ", ".join(f'"{target}"' for target in targets)
    lines = (
        "[[probe]]",
        f'name = "{name}"',
        f'kind = "{kind}"',
        f"targets = [{listed}]",
        "interval_seconds = 2",
        *more,
    )
    return "\n".join((*lines, "timeout_seconds = 1", ""))


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
