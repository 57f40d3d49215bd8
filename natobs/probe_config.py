"""The probe file: what is probed, how often, and what counts as success.

Strict, as every configuration (see :mod:`natobs.config`). Knows which settings
go with which kind; refuses to know how a kind works.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from natobs.config import Otlp, Prefix, Section, decode, read
from natobs.errors import ConfigError

KindName = Literal["icmp", "udp", "stun", "tcp", "tls", "http", "dns", "pmtu"]

_ROUND_TRIP_KINDS: tuple[KindName, ...] = ("icmp", "udp", "tcp")
"""Kinds whose one packet exchange is all there is to them."""
_LAST_PORT = 65535
_PORT = re.compile("[0-9]{1,5}")
_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class Expect(Section, frozen=True):
    """What the answer must be, beyond being there; each key belongs to the kinds that its help names."""

    status: Annotated[
        tuple[int, ...], Meta(description="http: accepted status codes; none given accepts 200 to 299.")
    ] = ()
    body: Annotated[str, Meta(description="http: a regular expression that the body must match somewhere.")] = ""
    rcode: Annotated[str, Meta(description="dns: accepted response code.")] = "NOERROR"
    record: Annotated[str, Meta(description="dns: a regular expression that one record's text must match.")] = ""
    addresses: Annotated[
        tuple[Prefix, ...], Meta(description="stun, http: reserved public addresses; another one fails the probe.")
    ] = ()
    certificate_days: Annotated[
        float, Meta(ge=0, description="tls, http: days for which the certificate must still be valid.")
    ] = 0


class Http(Section, frozen=True):
    """Requests of the kind `http`."""

    method: Annotated[Literal["GET", "HEAD"], Meta(description="Request method.")] = "GET"
    path: Annotated[str, Meta(pattern="^/", description="Path and query.")] = "/"
    tls: Annotated[bool, Meta(description="HTTPS.")] = True
    headers: Annotated[dict[str, str], Meta(description="More request headers.")] = msgspec.field(default_factory=dict)
    redirects: Annotated[int, Meta(ge=0, le=10, description="How many redirects are followed.")] = 0
    max_body_bytes: Annotated[int, Meta(ge=0, le=16_777_216, description="A longer body fails the probe.")] = 1_048_576


class Tls(Section, frozen=True):
    """Certificates of the kinds `tls` and `http`."""

    server_name: Annotated[str, Meta(description="Name sent and verified; the target's host when empty.")] = ""
    ca_file: Annotated[str, Meta(description="PEM file of accepted authorities; the system's when empty.")] = ""
    verify: Annotated[bool, Meta(description="Whether the certificate must be valid for the name.")] = True


class Dns(Section, frozen=True):
    """Questions of the kind `dns`."""

    name: Annotated[str, Meta(description="The name that is asked for.")] = "example.com"
    type: Annotated[str, Meta(description="Record type, for example A, AAAA, MX.")] = "A"
    transport: Annotated[Literal["udp", "tcp"], Meta(description="How the question travels.")] = "udp"
    mixed_case: Annotated[
        bool,
        Meta(
            description="Send the name in random case, which the answer must repeat: harder to forge (0x20 encoding)."
        ),
    ] = False


class Pmtu(Section, frozen=True):
    """Path MTU, the kind `pmtu`; `payload_bytes` says which UDP payload has to pass."""

    tcp_port: Annotated[
        int, Meta(ge=0, le=_LAST_PORT, description="Port of any TCP service on the target; the target's own when 0.")
    ] = 0


class Compare(Section, frozen=True):
    """Kinds icmp, udp, tcp: probe the target without the NAT too, by a path of this host or by the NAT's responder."""

    responder: Annotated[
        str, Meta(description="HOST:PORT of the NAT's responder, its inside address; see `[responder]` of the agent.")
    ] = ""
    source: Annotated[
        str, Meta(description="Source address of the path without the NAT; there the probe's own is not used.")
    ] = ""
    interface: Annotated[str, Meta(max_length=15, description="Interface of the path without the NAT, likewise.")] = ""
    mark: Annotated[
        int,
        Meta(
            ge=0,
            le=0xFFFFFFFF,
            description="Firewall mark of the path without the NAT, likewise; needs CAP_NET_ADMIN.",
        ),
    ] = 0
    limit_seconds: Annotated[
        float, Meta(gt=0, le=60, description="A pair whose difference is at most this is counted as good.")
    ] = 0.02
    window_seconds: Annotated[
        float, Meta(ge=10, le=86_400, description="The median is that of the pairs of so long, 1000 at most.")
    ] = 600.0

    @property
    def active(self) -> bool:
        """Whether there is a second path at all."""
        return bool(self.responder or self.local)

    @property
    def local(self) -> bool:
        """Whether it is one of this host."""
        return bool(self.source or self.interface or self.mark)

    def __post_init__(self) -> None:
        if self.responder and self.local:
            raise ValueError("compare: either responder, or a path of this host (source, interface, mark)")


class ProbeSettings(Section, frozen=True):
    """One probe: a kind, its targets, and how they are probed."""

    name: Annotated[str, Meta(pattern=_NAME, description="Its value of the label `probe`.")]
    kind: Annotated[KindName, Meta(description="What is sent.")]
    targets: Annotated[
        tuple[str, ...],
        Meta(
            description="HOST, HOST:PORT or [IPV6]:PORT. A name is probed at its first address, in the order of "
            "the system's resolver; each retry goes to the next one."
        ),
    ] = ()
    targets_file: Annotated[
        str,
        Meta(
            pattern=r"^(.*\.(json|ya?ml))?$",
            description="More targets: path of file_sd documents of Prometheus, looked at every "
            "prober.discovery_seconds; *, ? and [...] may stand in its last part, which ends in .json, .yml or .yaml. "
            "Their labels are read and ignored.",
        ),
    ] = ""
    targets_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            description="More targets: URL of an http_sd document of Prometheus, asked every prober.discovery_seconds; "
            "may hold a name and a password.",
        ),
    ] = ""
    access: Annotated[
        bool,
        Meta(
            description="icmp, udp, tcp: the targets are the NAT's own inside addresses. Their round trips are "
            "natobs_probe_access_rtt_seconds, and no outbound attempts."
        ),
    ] = False
    critical: Annotated[
        bool,
        Meta(
            description="Targets get series, histograms and (but for pmtu) an objective of their own; else all share."
        ),
    ] = False
    interval_seconds: Annotated[
        float, Meta(ge=0.1, le=86_400, description="Time between two attempts at a target.")
    ] = 10.0
    timeout_seconds: Annotated[float, Meta(ge=0.01, le=60, description="An attempt that takes longer has failed.")] = (
        2.0
    )
    retries: Annotated[
        int,
        Meta(
            ge=0,
            le=5,
            description="Attempts after a failed first one, counted apart; left out where the next beat has come.",
        ),
    ] = 2
    retry_delay_seconds: Annotated[float, Meta(ge=0, le=60, description="Pause before a retry.")] = 0.5
    family: Annotated[Literal["any", "ipv4", "ipv6"], Meta(description="Address family for names that have both.")] = (
        "any"
    )
    source: Annotated[str, Meta(description="Source address; the kernel's choice when empty.")] = ""
    interface: Annotated[str, Meta(max_length=15, description="Bind to this interface (SO_BINDTODEVICE).")] = ""
    mark: Annotated[int, Meta(ge=0, le=0xFFFFFFFF, description="Firewall mark; needs CAP_NET_ADMIN.")] = 0
    ttl: Annotated[int, Meta(ge=0, le=255, description="TTL or hop limit; 0 is the kernel's default.")] = 0
    dscp: Annotated[int, Meta(ge=0, le=63, description="Differentiated services code point.")] = 0
    payload_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=65_000,
            description="icmp, udp, stun: size of the payload; 0 is the kind's own. pmtu: the UDP payload that has to "
            "pass in one piece; 0 asks for full packets of the interface's MTU.",
        ),
    ] = 0
    source_ports: Annotated[
        int, Meta(ge=1, le=64, description="udp, stun: size of the fixed, rotated set of source ports (ECMP paths).")
    ] = 4
    compare: Compare = Compare()
    expect: Expect = Expect()
    http: Http = Http()
    tls: Tls = Tls()
    dns: Dns = Dns()
    pmtu: Pmtu = Pmtu()

    def __post_init__(self) -> None:
        if not (self.targets or self.targets_file or self.targets_url):
            raise ValueError(f"probe {self.name}: no targets, targets_file or targets_url")
        if (self.access or self.compare.active) and self.kind not in _ROUND_TRIP_KINDS:
            raise ValueError(f"probe {self.name}: access and compare are for {', '.join(_ROUND_TRIP_KINDS)}")
        if self.access and self.compare.active:
            raise ValueError(f"probe {self.name}: access and compare exclude each other")
        if self.timeout_seconds > self.interval_seconds:
            raise ValueError(f"probe {self.name}: timeout_seconds is above interval_seconds; attempts would overlap")
        for key, source in (("source", self.source), ("compare.source", self.compare.source)):
            if source and not _is_address(source):  # a name would be resolved, and all probes wait, at each attempt
                raise ValueError(f"probe {self.name}: {key} {source!r} is no IP address")


_FOR_KINDS: dict[str, tuple[KindName, ...]] = {
    "payload_bytes": ("icmp", "udp", "stun", "pmtu"),
    "source_ports": ("udp", "stun"),
    "http": ("http",),
    "tls": ("tls", "http"),
    "dns": ("dns",),
    "pmtu": ("pmtu",),
    "expect.status": ("http",),
    "expect.body": ("http",),
    "expect.rcode": ("dns",),
    "expect.record": ("dns",),
    "expect.addresses": ("stun", "http"),
    "expect.certificate_days": ("tls", "http"),
}
"""Keys that only some kinds have a use for."""
_USUAL = ProbeSettings(name="usual", kind="icmp", targets=("-",))


def _check_use(probe: ProbeSettings) -> None:
    """Refuse what would be passed over: an expectation that nobody looks at makes every answer a success.

    Raises:
        ValueError: the first key that the probe's kind has no use for.
    """
    for key, kinds in _FOR_KINDS.items():
        in_expect, _dot, name = key.rpartition(".")
        given, usual = (probe.expect, _USUAL.expect) if in_expect else (probe, _USUAL)
        if probe.kind not in kinds and getattr(given, name) != getattr(usual, name):
            raise ValueError(
                f"probe {probe.name}: the kind {probe.kind} has no use for {key}: it is for {', '.join(kinds)}"
            )
    if probe.expect.body and probe.http.method == "HEAD":
        raise ValueError(f"probe {probe.name}: expect.body: the answer to HEAD has no body")


class Prober(Section, frozen=True):
    """The prober itself. An agent that runs these probes listens by its own configuration, not by this."""

    listen: Annotated[tuple[str, ...], Meta(min_length=1, description="Addresses of /metrics, as HOST:PORT.")] = (
        "127.0.0.1:9651",
    )
    web_config_file: Annotated[
        str, Meta(description="TLS and users, in the format of Prometheus exporters; empty for none.")
    ] = ""
    max_rate: Annotated[
        float,
        Meta(
            gt=0,
            le=100_000,
            description="Attempts a second over all targets, retries and those without the NAT (compare) included.",
        ),
    ] = 500.0
    adhoc_targets: Annotated[
        Literal["listed", "any"],
        Meta(
            description="What /probe accepts: targets that the named probe lists, or `any`, which lets everybody who "
            "reaches the listener send probes from this host to everywhere that it reaches."
        ),
    ] = "listed"
    resolve_seconds: Annotated[
        float, Meta(ge=1, description="How long a resolved name is used before it is asked again.")
    ] = 60.0
    discovery_seconds: Annotated[
        float, Meta(ge=1, le=86_400, description="How often targets_file and targets_url are looked at.")
    ] = 30.0
    max_targets: Annotated[
        int, Meta(ge=1, le=100_000, description="Targets over all probes; a document that asks for more is refused.")
    ] = 10_000


class ProbeFile(Section, frozen=True):
    """A whole probe file."""

    prober: Prober = Prober()
    otlp: Otlp = Otlp()
    probe: Annotated[tuple[ProbeSettings, ...], Meta(description="The probes, as `[[probe]]`.")] = ()

    def __post_init__(self) -> None:
        names = [probe.name for probe in self.probe]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two probes are called {', '.join(twice)}")
        for probe in self.probe:
            _check_use(probe)


def load(path: Path) -> ProbeFile:
    """Read a probe file.

    Raises:
        ConfigError: it cannot be read, or is wrong.
    """
    return decode(read(path), str(path), ProbeFile)


def split_target(text: str, default_port: int) -> tuple[str, int]:
    """Read ``host``, ``host:port``, ``v6`` or ``[v6]:port``.

    Raises:
        ConfigError: the text is none of these.
    """
    if "://" in text:
        raise ConfigError(f"target {text!r} is a URL; expected HOST:PORT, with the rest of it under http of the probe")
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigError(f"target {text!r}: expected [IPV6]:PORT")
    elif text.count(":") == 1:
        host, _colon, port = text.partition(":")
    if ":" in host and not _is_address(host):
        raise ConfigError(f"target {text!r}: {host!r} is no IPv6 address; expected HOST, HOST:PORT or [IPV6]:PORT")
    readable = host.isprintable() and " " not in host
    if not host or not readable or (port and not (_PORT.fullmatch(port) and int(port) <= _LAST_PORT)):
        raise ConfigError(f"target {text!r}: expected HOST, HOST:PORT or [IPV6]:PORT")
    return host, int(port) if port else default_port


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
