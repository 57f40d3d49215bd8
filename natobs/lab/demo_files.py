"""The files of a demo: what its agent is told, and what it probes: servers of its internet, and an address of nobody.

Knows addresses and the form of the files; refuses to know who reads them.
"""

from collections.abc import Sequence

from natobs.lab.topology import Topology


def agent_file(topology: Topology, probes: str, operations: str) -> str:
    """A configuration of the agent, TOML: all that it can do, quickly enough for somebody who watches.

    Args:
        topology: whose private prefixes it is told.
        probes: path of the probe file.
        operations: path of the file that keeps events and maintenance: not this machine's own.
    """
    inside = ", ".join(f'"{network}"' for family in topology.families for network in topology.inside(family))
    first, *_others = topology.server_addresses(4)
    return "\n".join(
        (
            f"nat = {{ inside = [{inside}] }}",
            "census = { interval_seconds = 5 }",
            "events = { enabled = true }",
            f'accounting = {{ state_file = "", names = {{ "{first}" = "web shop" }} }}',
            f'operations = {{ state_file = "{operations}" }}',
            f'probes = {{ file = "{probes}" }}',
            "",
        )
    )


def probe_file(topology: Topology) -> str:
    """A probe file, TOML. Its kinds need no library beyond the agent's own.

    Args:
        topology: with servers on every address of its internet, and natobs' reflector on its usual ports.
    """
    hosts = [address for family in topology.families for address in topology.server_addresses(family)]
    return "\n".join(
        (
            probe("web", "tcp", [with_port(host, 443) for host in hosts[:4]], "critical = true"),
            probe("ping", "icmp", hosts),
            probe("path", "udp", [with_port(hosts[0], 8862)], "critical = true"),
            probe("address", "stun", [with_port(hosts[0], 3478)]),
            probe("nobody", "tcp", [with_port(topology.dead_address(4), 443)], "retries = 0"),
        )
    )


def probe(name: str, kind: str, targets: Sequence[str], *more: str, interval: float = 2, timeout: float = 1) -> str:
    """One probe of a probe file.

    Args:
        name: its value of the label ``probe``.
        kind: what is sent.
        targets: whereto.
        more: further lines, TOML.
        interval: between two attempts, in seconds.
        timeout: of one attempt, in seconds.
    """
    listed = ", ".join(f'"{target}"' for target in targets)
    lines = (
        "[[probe]]",
        f'name = "{name}"',
        f'kind = "{kind}"',
        f"targets = [{listed}]",
        f"interval_seconds = {interval:g}",
        *more,
    )
    return "\n".join((*lines, f"timeout_seconds = {timeout:g}", ""))


def with_port(host: str, port: int) -> str:
    """An address and a port, as probe files have them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
