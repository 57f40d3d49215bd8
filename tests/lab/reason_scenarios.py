"""Every way in which an attempt of every kind can fail, each to be produced for real in a lab: one table.

A scenario breaks one thing in a lab that works otherwise, and says which
variants of probes then fail, and for which reason. ``IMPOSSIBLE`` is the rest.
Together they are the whole matrix of kinds and reasons (tests/test_probes_reasons.py),
the scenarios are carried out by tests/lab/test_probes_reasons.py, and what
anybody produces in the lab is held against ``IMPOSSIBLE`` (tests/lab/conftest.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.lab import real_servers

Settings = dict[str, Any]
Change = Callable[[str, Settings], Settings]

DATAGRAMS = ("icmp", "udp", "stun", "dns", "pmtu")
STREAMS = ("tcp", "tls", "http", "dns-tcp")
VARIANTS = (*DATAGRAMS, *STREAMS)
"""Each is a kind, or a kind and how it travels."""

SERVER, OTHER = "198.51.100.1", "198.51.100.2"
"""All servers are on the first one; slow ones on the second."""
CLIENT_PORTS = (40000, 40003)
STAMP_PORT, SLOW_STUN_PORT, SLOW_DNS_PORT = 862, 3480, 5353
CLOSED_PORT = 4444

_IMPOSSIBLE = {
    "reset": ("icmp", "udp", "stun", "pmtu"),  # no connection
    "tls": ("icmp", "udp", "stun", "tcp", "dns", "pmtu"),  # no TLS
    "status": ("icmp", "udp", "tcp", "tls", "pmtu"),  # the answer has no code
    "body": ("icmp", "udp", "stun", "tcp", "tls", "pmtu"),  # nothing is expected of what the answer holds
    "address": ("icmp", "udp", "tcp", "tls", "dns", "pmtu"),  # the answer tells no address
    "mtu": ("tcp", "tls", "http"),  # TCP makes its segments fit, and sends them again where they do not
}
IMPOSSIBLE = {(kind, reason) for reason, kinds in _IMPOSSIBLE.items() for kind in kinds}
"""Kind and reason."""
TOO_COSTLY = {("icmp", "no_local_port")}
"""Takes all 65,536 identifiers of ping sockets: seven seconds of CPU, and the kernel's search for a free one holds off
interrupts. It is the same errno at the same place as for datagrams of the kind udp."""


def kind_of(variant: str) -> str:
    return variant.partition("-")[0]


@dataclass(frozen=True)
class Scenario:
    """One thing that is wrong.

    Args:
        name: for a person.
        reason: that attempts then fail for; empty where they succeed.
        variants: which of them.
        nat: rules that the NAT forwards by, as lines of an nft chain; for IPv4.
        server: rules for what comes in at the servers.
        routes: host to arguments of ``ip route add``, taken away afterwards.
        client: which client attempts.
        changed: what the probes' settings are changed to.
        order: the rest of the order, see tests/lab/run_attempts.py.
        holding: whether another program holds all of the client's ports.
        missing: whether the name that is probed does not exist.
        icmp: type, code and sender of the ICMP error that is behind it.
        together: whether all variants may be attempted at once.
    """

    name: str
    reason: str
    variants: tuple[str, ...]
    nat: str = ""
    server: str = ""
    routes: Mapping[str, str] = field(default_factory=dict)
    client: str = "client1"
    changed: Change = lambda variant, settings: settings
    order: Mapping[str, float] = field(default_factory=dict)
    holding: bool = False
    missing: bool = False
    icmp: tuple[int, int, str] | None = None
    together: bool = True


def working(variant: str, authority: str) -> Settings:
    """A probe that succeeds as long as nothing is wrong."""
    own: dict[str, Settings] = {
        "icmp": {"targets": [SERVER]},
        "udp": {"targets": [f"{SERVER}:{STAMP_PORT}"]},
        "stun": {"targets": [f"{SERVER}:{real_servers.STUN_PORT}"]},
        "dns": {"targets": [f"{SERVER}:{real_servers.DNS_PORT}"], "dns": {"name": "good.lab.test"}},
        "pmtu": {"targets": [f"{SERVER}:4007"], "pmtu": {"tcp_port": 7}},
        "tcp": {"targets": [f"{SERVER}:7"]},
        "tls": {"targets": [f"{SERVER}:{real_servers.H1_PORT}"], "tls": {"ca_file": authority}},
        "http": {"targets": [f"{SERVER}:{real_servers.H2_PORT}"], "tls": {"ca_file": authority}},
        "dns-tcp": {
            "targets": [f"{SERVER}:{real_servers.DNS_PORT}"],
            "dns": {"name": "good.lab.test", "transport": "tcp"},
        },
    }
    return {"name": variant, "kind": kind_of(variant), "timeout_seconds": 10.0, **own[variant]}


def _with(**changes: object) -> Change:
    return lambda variant, settings: settings | changes


def _port(port: int) -> Change:
    def change(variant: str, settings: Settings) -> Settings:
        return settings if variant == "icmp" else settings | {"targets": [f"{SERVER}:{port}"]}

    return change


def _named(variant: str, settings: Settings) -> Settings:
    port = settings["targets"][0].partition(":")[2]
    return settings | {"targets": [f"missing.lab.test:{port}" if port else "missing.lab.test"]}


def _at(variant: str, settings: Settings) -> Settings:
    """The slow servers of the other address, which answer after the time limit."""
    port = {"udp": f":{STAMP_PORT}", "stun": f":{SLOW_STUN_PORT}", "dns": f":{SLOW_DNS_PORT}", "pmtu": f":{STAMP_PORT}"}
    return settings | {"targets": [OTHER + port.get(variant, "")], "timeout_seconds": 0.2}


def _plain_http(variant: str, settings: Settings) -> Settings:
    plain = {"http": {"tls": False}, "targets": [f"{SERVER}:{real_servers.HTTP_PORT}"]} if variant == "http" else {}
    return settings | plain | {"timeout_seconds": 0.8}


def _other_answer(variant: str, settings: Settings) -> Settings:
    if variant == "http":
        return settings | {"http": {"path": "/503"}}
    if variant == "stun":
        return settings | {"targets": [f"{SERVER}:{real_servers.STRICT_STUN_PORT}"]}
    return settings | {"dns": settings["dns"] | {"name": "missing.lab.test"}}


_FIRST_SYN_LOST = "tcp flags syn ip saddr . tcp sport != @seen add @seen { ip saddr . tcp sport } drop"
"""It is sent again after a second."""


_GATEWAY = "10.0.1.1"
_HANDSHAKE_ENDS = "tcp flags & (syn | ack | fin | rst) == ack reject with tcp reset"
_DATA = "tcp flags & psh == psh"
_FIRST_SECOND_LOST = (
    "tcp flags syn add @seen { ip saddr . tcp sport timeout 1s }\n"
    f"ip daddr {SERVER} {_DATA} ip saddr . tcp sport @seen drop"
)
"""Of a flow's data, which is sent again and again."""

SCENARIOS = (
    Scenario("nothing is wrong", "", VARIANTS),
    Scenario("the name does not exist", "dns", VARIANTS, changed=_named, missing=True),
    *(
        Scenario(f"a route of the type {kind}", "no_route", VARIANTS, routes={"client1": f"{kind} {SERVER}"})
        for kind in ("unreachable", "prohibit", "blackhole")
    ),
    Scenario("no route at all", "no_route", VARIANTS, client="client4"),
    *(
        Scenario(
            f"the NAT says {words}", "unreachable", VARIANTS, nat=f"reject with icmp {words}", icmp=(3, code, _GATEWAY)
        )
        for words, code in (("admin-prohibited", 13), ("host-unreachable", 1), ("port-unreachable", 3))
    ),
    Scenario(  # three at most: a host is told five times, then once a second (ip_error, net/ipv4/route.c)
        "the NAT has no way",
        "unreachable",
        ("icmp", "udp", "tcp"),
        routes={"nat": f"unreachable {SERVER}"},
        icmp=(3, 1, _GATEWAY),
    ),
    Scenario(
        "nobody listens", "refused", ("udp", "stun", "dns", "pmtu"), changed=_port(CLOSED_PORT), icmp=(3, 3, SERVER)
    ),
    Scenario("nobody accepts", "refused", STREAMS, changed=_port(CLOSED_PORT)),
    Scenario(
        "the server rejects pings", "refused", ("icmp",), server="icmp type echo-request reject", icmp=(3, 3, SERVER)
    ),
    Scenario("the server's firewall refuses", "refused", STREAMS, server="tcp flags syn reject with tcp reset"),
    Scenario("reset at once", "reset", STREAMS, server=_HANDSHAKE_ENDS, order={"stall": 0.1}),
    Scenario("reset on data", "reset", ("tls", "http", "dns-tcp"), server=f"{_DATA} reject with tcp reset"),
    Scenario("all is dropped", "timeout", VARIANTS, nat="drop", changed=_with(timeout_seconds=0.3)),
    Scenario("slow servers", "timeout", DATAGRAMS, changed=_at),
    Scenario("slow servers and a stalled engine", "late", DATAGRAMS, changed=_at, order={"stall": 4.0}),
    Scenario(
        *("a SYN sent again, and a stalled engine", "late", ("tcp",)),
        nat=_FIRST_SYN_LOST,
        changed=_with(timeout_seconds=0.5),
        order={"stall": 2.5},
    ),
    Scenario(
        *("data sent again, and a stalled engine", "late", ("tls", "http", "dns-tcp")),
        nat=_FIRST_SECOND_LOST,
        changed=_plain_http,
        order={"stall": 4.0, "turns": 1},
        together=False,
    ),
    Scenario("a stalled engine", "", (*DATAGRAMS, "tcp"), changed=_with(timeout_seconds=2.0), order={"stall": 3.0}),
    *(
        Scenario(name, "tls", ("tls", "http"), changed=_port(port))
        for name, port in (
            ("an expired certificate", real_servers.EXPIRED_PORT),
            ("the certificate of another name", real_servers.ELSEWHERE_PORT),
            ("the certificate of an unknown authority", real_servers.STRANGER_PORT),
            ("no TLS at all", real_servers.HTTP_PORT),
        )
    ),
    Scenario("another code", "status", ("stun", "http", "dns", "dns-tcp"), changed=_other_answer),
    Scenario(
        *("another body", "body", ("http", "dns", "dns-tcp")), changed=_with(expect={"body": "no", "record": "no"})
    ),
    Scenario(
        *("another public address", "address", ("stun", "http")),
        changed=lambda variant, settings: (
            settings
            | {"expect": {"addresses": ["192.0.2.0/24"]}}
            | ({"http": {"path": "/address"}} if variant == "http" else {})
        ),
    ),
    Scenario(
        *("a way that takes 200 bytes", "mtu", ("icmp", "udp", "stun", "dns", "pmtu")),
        routes={"nat": f"{SERVER} via 203.0.113.1 mtu lock 200"},
        changed=lambda variant, settings: (
            settings | ({"dns": {"name": ".".join(["a" * 60] * 4)}} if variant == "dns" else {"payload_bytes": 1472})
        ),
        icmp=(3, 4, _GATEWAY),
        together=False,
    ),
    Scenario(
        "all ports taken", "no_local_port", tuple(v for v in VARIANTS if v != "icmp"), client="client3", holding=True
    ),
    Scenario("a source address of somebody else", "local", VARIANTS, changed=_with(source="192.0.2.9")),
)
