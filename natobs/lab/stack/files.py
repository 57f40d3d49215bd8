"""The files of a stack as text: what agents and probers are told, what Prometheus scrapes, and an Alertmanager's least.

Pure. Knows the form of the files; refuses to know who reads them and where they lie.
"""

import json
from collections.abc import Sequence

import yaml

from natobs.lab.demo_files import probe, with_port
from natobs.lab.relay import LOOPBACK
from natobs.lab.servers import ECHO_PORT
from natobs.lab.stack.plan import ALERTMANAGER_PORT, PAGER_URL, StackPlan, Timing
from natobs.lab.topology import Topology, nth

RESPONDER_PORT = 9653
_STAMP_PORT, _STUN_PORT, _HTTP_PORT = 8862, 3478, 8080
"""Of the reflector."""
_PROBE_TIMEOUT = 1.0  # of probes, whatever the time scale: a machine with more to do than it can must not look broken

ALERTMANAGER = yaml.safe_dump(
    {
        "route": {
            "receiver": "pager",
            "group_by": ["nat_cluster", "alertname"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "pager", "webhook_configs": [{"url": PAGER_URL, "send_resolved": True}]}],
    },
    sort_keys=False,
)
"""A configuration of Alertmanager where the caller has none: everything to the pager, soon."""


def agent_file(topology: Topology, timing: Timing, kept: str) -> str:
    """Give the configuration of the agent on a NAT, TOML: everything on.

    Args:
        topology: the world of the NAT.
        timing: for censuses.
        kept: what the paths of files begin with that survive a restart of the agent.
    """
    inside = [network for family in topology.families for network in topology.inside(family)]
    names = dict(zip(topology.server_addresses(4), ("web shop", "payments", "mail", "warehouse"), strict=False))
    listed = ", ".join(f"{json.dumps(address)} = {json.dumps(name)}" for address, name in names.items())
    state, operations = f"{kept}.state", f"{kept}.operations.json"
    lines = [
        f"nat = {{ inside = {json.dumps(inside)} }}",
        # a census costs a start of Python: more of one CPU than they usually get, so that they keep to the time scale
        f"census = {{ interval_seconds = {timing.census:g}, max_cpu_share = 0.2 }}",
        "events = { enabled = true }",
        f"accounting = {{ state_file = {json.dumps(state)}, names = {{ {listed} }} }}",
        f"operations = {{ state_file = {json.dumps(operations)} }}",
    ]
    if gateways := _gateways(topology):
        targets = [f"{topology.server_addresses(4)[0]}/32"]
        listen = [with_port(gateway, RESPONDER_PORT) for gateway in gateways]
        lines.append(
            f"responder = {{ listen = {json.dumps(listen)}, allow = {json.dumps(inside)},"
            f" targets = {json.dumps(targets)} }}"
        )
    return "\n".join((*lines, ""))


def probe_file(topology: Topology, subnet: int, timing: Timing) -> str:
    """Give the probe file of a subnet's prober, TOML: ten targets on the internet, and the NAT's inside address.

    Args:
        topology: the world of the prober, with natobs' reflector on every address of its internet.
        subnet: position of the subnet, from 0.
        timing: how often targets are probed.
    """
    servers = topology.server_addresses(4)
    reflector = servers[0]
    reserved = json.dumps(list(topology.snat_addresses(4)))
    gateway = _gateways(topology)[subnet : subnet + 1]
    window = timing.seconds(600, 10)
    compare = [
        f'compare = {{ responder = "{with_port(address, RESPONDER_PORT)}", window_seconds = {window:g} }}'
        for address in gateway
    ]
    pings = [topology.server_addresses(family)[-1] for family in topology.families]
    every = timing.probe

    def often(name: str, kind: str, targets: Sequence[str], *more: str, timeout: float = _PROBE_TIMEOUT) -> str:
        return probe(name, kind, targets, "retries = 1", *more, interval=every, timeout=timeout)

    parts = [
        often("path", "udp", [with_port(reflector, _STAMP_PORT)], "critical = true", *compare),
        often("web", "tcp", [with_port(server, 443) for server in servers[:4]], "critical = true"),
        often("ping", "icmp", pings),
        often(
            "address",
            "stun",
            [with_port(reflector, _STUN_PORT)],
            "critical = true",
            f"expect = {{ addresses = {reserved} }}",
        ),
        often("page", "http", [with_port(servers[-1], _HTTP_PORT)], "http = { tls = false }"),
        often("names", "dns", [with_port(servers[-1], 53)], 'dns = { name = "www.example" }'),
        probe(
            "full-size",
            "pmtu",
            [with_port(reflector, _STAMP_PORT)],
            "critical = true",
            f"pmtu = {{ tcp_port = {ECHO_PORT} }}",  # without it a black hole is only silence
            interval=timing.seconds(60, 5),
            timeout=5,
        ),
        often("gateway", "icmp", gateway or topology.snat_addresses(4)[:1], "access = true"),
    ]
    return "\n".join(parts)


def prometheus_file(plan: StackPlan, rules: Sequence[str]) -> str:
    """Give the configuration of Prometheus, YAML.

    Args:
        plan: what is scraped, and how often.
        rules: paths of rule files.
    """
    every = f"{plan.timing.scrape * 1000:.0f}ms"
    jobs: dict[str, list[object]] = {}
    for target, way in zip(plan.targets(), plan.ways(), strict=True):
        jobs.setdefault(target.job, []).append({"targets": [f"{LOOPBACK}:{way.listen}"], "labels": dict(target.labels)})
    return yaml.safe_dump(
        {
            "global": {
                "scrape_interval": every,
                "scrape_timeout": f"{min(plan.timing.scrape, 10) * 1000:.0f}ms",
                "evaluation_interval": every,
            },
            "rule_files": list(rules),
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{ALERTMANAGER_PORT}"]}]}],
            },
            "scrape_configs": [{"job_name": job, "static_configs": targets} for job, targets in jobs.items()],
        },
        sort_keys=False,
    )


def _gateways(topology: Topology) -> tuple[str, ...]:
    """Give the NAT's inside address in each subnet; a NAT with one arm has none."""
    if topology.nat.arms == 1:
        return ()
    return tuple(nth(network, 1) for network in topology.inside(4))
