"""The configuration file: TOML into frozen structs, strictly.

Every field has a default that suits an ordinary NAT VM, and a help text that
``docs/config.md`` is generated from. An unknown key, a wrong type or a value
out of range is a :class:`~natobs.errors.ConfigError` that begins with the file
and the dotted path. Knows nothing of what the values are used for.
"""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from natobs.errors import ConfigError

_ENTRY = re.compile(r"\[[^\]]*\]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""
_BASE_URL = re.compile(r"https?://([\w.~-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(?P<path>(/\S*)?)")
_LAST_PORT = 65535
Root = TypeVar("Root", bound=msgspec.Struct)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""RFC 1918, RFC 6598 and RFC 4193."""
_MOST_TENANTS = 500
"""Each is a time series."""


class Prefix:
    """An IP prefix as written in the configuration, for example ``10.0.0.0/8``."""

    def __init__(self, text: str) -> None:
        self.network: Network = ipaddress.ip_network(text)

    def __str__(self) -> str:
        return str(self.network)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prefix) and self.network == other.network

    def __hash__(self) -> int:
        return hash(self.network)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class Agent(Section, frozen=True):
    """How the agent serves what it reads."""

    listen: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="Addresses to listen on, as HOST:PORT. Loopback by default: a NAT VM has a public interface.",
        ),
    ] = ("127.0.0.1:9650",)
    web_config_file: Annotated[
        str,
        Meta(
            description="TLS and basic authentication, in the format of Prometheus' exporter-toolkit; empty for none."
        ),
    ] = ""
    scrape_limit_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="A scrape answers within this time, with what has been read by then.")
    ] = 9.5
    collector_limit_seconds: Annotated[
        float, Meta(ge=0.05, le=60, description="A collector that runs longer is reported and left behind.")
    ] = 2.0
    max_connections: Annotated[
        int, Meta(ge=4, le=4096, description="Connections open at the same time; more wait until one is idle or done.")
    ] = 64
    textfile_directory: Annotated[
        str, Meta(description="Also write a textfile for node_exporter into this directory; empty for none.")
    ] = ""
    textfile_interval_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="How often the textfile is written.")
    ] = 15.0


class Collectors(Section, frozen=True):
    """Which subjects are read."""

    disabled: Annotated[
        tuple[str, ...], Meta(description="Names of collectors that are not run, for example `firewall`.")
    ] = ()
    peak_interval_seconds: Annotated[
        float,
        Meta(
            ge=1, le=60, description="How often interface counters are sampled for peak rates; at most once a second."
        ),
    ] = 1.0


class Nat(Section, frozen=True):
    """What this machine translates."""

    inside: Annotated[
        tuple[Prefix, ...],
        Meta(description="Prefixes of the private hosts. Inside and outside are told apart by them, never by device."),
    ] = tuple(Prefix(text) for text in _PRIVATE)


class Tenant(Section, frozen=True):
    """Somebody whose flows are counted apart: those from its prefixes, and those that bear its marks."""

    prefixes: Annotated[tuple[Prefix, ...], Meta(description="Where its private hosts are.")] = ()
    marks: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)], ...],
        Meta(description="Values of `ct mark` that the ruleset gives its flows."),
    ] = ()


class Census(Section, frozen=True):
    """Counts the flows in the connection tracking table, now and then, in a process of its own."""

    enabled: Annotated[bool, Meta(description="Whether censuses are taken.")] = True
    interval_seconds: Annotated[
        float, Meta(ge=1, le=86_400, description="From the beginning of one census to that of the next, at least.")
    ] = 60.0
    max_cpu_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of one CPU that censuses may take; on a large table the next one waits longer for it.",
        ),
    ] = 0.05
    limit_seconds: Annotated[
        float, Meta(ge=1, le=600, description="A census is given up after so long, and what it found is incomplete.")
    ] = 30.0
    top: Annotated[
        int,
        Meta(ge=1, le=200, description="Hosts, destinations and the like exported one by one; the rest is `other`."),
    ] = 10
    tenants: Annotated[
        dict[str, Tenant], Meta(description="By name, for example `[census.tenants.web]`; a flow is the first one's.")
    ] = msgspec.field(default_factory=dict)
    snat_ports: Annotated[
        dict[str, Annotated[int, Meta(ge=1, le=65_536)]],
        Meta(
            description="Ports that each SNAT address has towards one destination, by address; "
            "only where the ruleset does not tell."
        ),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for address in self.snat_ports:
            ipaddress.ip_address(address)
        if len(self.tenants) > _MOST_TENANTS or "other" in self.tenants:
            raise ValueError(f"tenants: at most {_MOST_TENANTS}, and none of them called other")


class Link(Section, frozen=True):
    """What natobs cannot read about one network interface."""

    capacity_bits_per_second: Annotated[
        int, Meta(ge=1, description="What the cloud grants this interface; needed where the NIC reports no speed.")
    ]


class Firewall(Section, frozen=True):
    """Counters of firewall rules."""

    max_series: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Rules exported one by one, those with a comment and drops first; the rest is `other`.",
        ),
    ] = 100


class Accounting(Section, frozen=True):
    """Attempts and answers that the kernel counts, once `natobs accounting install` has loaded its table."""

    destinations: Annotated[
        int,
        Meta(
            ge=16,
            le=65_536,
            description="The most destinations (address, protocol, port) told apart, for each IP version; "
            "beyond 16384 each scrape takes a good deal longer.",
        ),
    ] = 16_384
    hosts: Annotated[
        int, Meta(ge=16, le=65_536, description="The most private hosts told apart, for each IP version.")
    ] = 4096
    timeout_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=86_400,
            description="A destination or host without an attempt for so long is forgotten; three scrapes at least.",
        ),
    ] = 900
    label: Annotated[
        int,
        Meta(
            ge=0,
            le=126,
            description="The lower of two neighbouring bits of the conntrack label that are natobs' own; change it "
            "where rules of yours use bit 126 or 127.",
        ),
    ] = 126
    top: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Private hosts, and destinations of each protocol, that have series of their own; "
            "the rest is `other`.",
        ),
    ] = 10
    state_file: Annotated[str, Meta(description="Keeps the series while the agent is restarted; empty for none.")] = (
        "/var/lib/natobs/accounting.state"
    )
    names: Annotated[
        dict[str, Annotated[str, Meta(min_length=1, max_length=80)]],
        Meta(description='Names of services by address or prefix, for example `"10.20.0.0/16" = "warehouse"`.'),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a key of ``names`` that is no address and no prefix."""
        for text in self.names:
            _prefix(text)


class Events(Section, frozen=True):
    """Events of connection tracking: idle timeouts and lost state. Each entry that ends then costs 2 µs of CPU."""

    enabled: Annotated[
        bool, Meta(description="Count flows that expired idle and flows whose state was lost; see docs/events.md.")
    ] = False


class Otlp(Section, frozen=True):
    """Push over OTLP (OpenTelemetry), beside what is served; of the agent and of the prober."""

    endpoint: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            description="Base URL of a receiver of OTLP over HTTP, for example http://127.0.0.1:4318; "
            "/v1/metrics and /v1/traces are added. Empty for none.",
        ),
    ] = ""
    headers: Annotated[dict[str, str], Meta(description="More request headers, for example an authorization.")] = (
        msgspec.field(default_factory=dict)
    )
    ca_file: Annotated[
        str, Meta(description="PEM file of the authorities that an https receiver is verified by; empty: the usual.")
    ] = ""
    compression: Annotated[Literal["gzip", "none"], Meta(description="How requests are compressed.")] = "gzip"
    signals: Annotated[
        tuple[Literal["metrics", "traces"], ...],
        Meta(
            min_length=1,
            description="What is pushed: metrics; traces (a span for each attempt of a probe that is chosen).",
        ),
    ] = ("metrics", "traces")
    interval_seconds: Annotated[float, Meta(ge=1, le=3600, description="How often metrics are pushed.")] = 15.0
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=60, description="A push that takes longer has failed.")] = 5.0
    queue: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Rounds of metrics, and batches of spans, that wait; the oldest go first."),
    ] = 8
    resource: Annotated[
        dict[str, str],
        Meta(
            description="Resource attributes, for example nat_cluster. service.name, service.version, "
            "service.instance.id and host.name are set unless they stand here."
        ),
    ] = msgspec.field(default_factory=dict)
    successes_per_span: Annotated[
        int, Meta(ge=1, description="Every failed attempt of a probe is a span, and one of so many successes.")
    ] = 100

    def __post_init__(self) -> None:
        if self.endpoint:
            _check_base_url(self.endpoint)
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"headers: {name!r} is no name of a header")
            if not value.isprintable() or not value.isascii() or value != value.strip():
                raise ValueError(f"headers: the value of {name} must be printable ASCII without space around it")


def _check_base_url(text: str) -> None:
    """Refuse what would be pushed to for ever in vain, or would end up in a log.

    Raises:
        ValueError: what is wrong.
    """
    if "?" in text or "#" in text:
        raise ValueError("endpoint: /v1/metrics is added to it, so it can have no query and no fragment")
    if "@" in text:
        raise ValueError("endpoint: a user name or password belongs into headers, as an authorization")
    url = _BASE_URL.fullmatch(text)
    if url is None or not 0 < int(url["port"] or 1) <= _LAST_PORT:
        raise ValueError(f"endpoint: {text!r} is no URL with a host and a port")
    if url["path"].rstrip("/").endswith(("/v1/metrics", "/v1/traces")):
        raise ValueError("endpoint: /v1/metrics and /v1/traces are added to it; leave them out")


class Responder(Section, frozen=True):
    """Measures a target for a prober behind this NAT, which compares: see `docs/responder.md`. Off without `listen`."""

    listen: Annotated[
        tuple[str, ...],
        Meta(
            description="Inside addresses to answer on over UDP, as HOST:PORT, for example 10.0.1.1:9653; none: off. "
            "They must be within `nat.inside`. One that this machine does not have yet is tried again every 10 s."
        ),
    ] = ()
    allow: Annotated[
        tuple[Prefix, ...], Meta(description="Prefixes of probers that are answered; all others are ignored.")
    ] = ()
    targets: Annotated[
        tuple[Prefix, ...],
        Meta(
            description="Prefixes that may be probed for them; none but these. Private and special addresses only by "
            "a prefix of their own: `0.0.0.0/0` does not stand for 10.0.0.0/8."
        ),
    ] = ()
    rate: Annotated[
        float, Meta(gt=0, le=10_000, description="Measurements a second over all probers, with bursts of a second.")
    ] = 50.0
    source_rate: Annotated[
        float, Meta(gt=0, le=10_000, description="Measurements a second for one IPv4 address or one IPv6 /56.")
    ] = 10.0


class Probes(Section, frozen=True):
    """Probes that run in the agent's process, on its page and in its scrape."""

    file: Annotated[
        str,
        Meta(
            description="A probe file; its targets are probed from this machine. Of its keys, `prober.listen`, "
            "`prober.web_config_file` and `[otlp]` are not used: the agent's own are. Empty for none."
        ),
    ] = ""
    self_check: Annotated[
        bool,
        Meta(
            description="Where no file is given, probe 127.0.0.1, ::1 and the agent's own listeners every 5 s, which "
            "shows that probing works and no more. `natobs up` asks for it."
        ),
    ] = False


class Config(Section, frozen=True):
    """The whole file."""

    agent: Agent = Agent()
    collectors: Collectors = Collectors()
    nat: Nat = Nat()
    links: Annotated[dict[str, Link], Meta(description="By interface name, for example `[links.eth0]`.")] = {}
    firewall: Firewall = Firewall()
    accounting: Accounting = Accounting()
    census: Census = Census()
    events: Events = Events()
    probes: Probes = Probes()
    responder: Responder = Responder()
    otlp: Otlp = Otlp()


def parse(text: str, origin: str) -> Config:
    """Decode the text of an agent's configuration file; see :func:`decode`."""
    return decode(text, origin, Config)


def decode(text: str, origin: str, root: type[Root]) -> Root:
    """Decode the text of a configuration file.

    Args:
        text: TOML.
        origin: what to call it in errors.
        root: what the whole file is.

    Raises:
        ConfigError: with the origin, the dotted path or the line, and what would be accepted.
    """
    try:
        return msgspec.convert(tomllib.loads(text), root, dec_hook=_decode)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error, root)}") from error


def load(path: Path | None) -> Config:
    """Read a configuration file; None is the configuration of defaults.

    Raises:
        ConfigError: it cannot be read, or is wrong.
    """
    return Config() if path is None else decode(read(path), str(path), Config)


def read(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error}") from error


def explain(error: msgspec.ValidationError, root: type[msgspec.Struct]) -> str:
    """The message of a strict decoder with a dotted path first, and for an unknown key the keys that exist."""
    message, _at, path = str(error).partition(" - at `")
    dotted = path.rstrip("`").removeprefix("$").removeprefix(".")
    if "unknown field" in message:
        key = message.rpartition("`")[0].rpartition("`")[2]
        known = ", ".join(sorted(_fields(root, dotted)))
        return f"{'.'.join(filter(None, (dotted, key)))}: unknown key; known here: {known}"
    return f"{dotted or 'file'}: {message}"


def _fields(root: type[msgspec.Struct], dotted: str) -> list[str]:
    """The keys of the table at a dotted path; ``[...]`` and ``[0]`` stand for an entry of a table or an array."""
    current = msgspec.inspect.type_info(root)
    for part in _ENTRY.sub(".*", dotted).split("."):
        if isinstance(current, msgspec.inspect.StructType) and part:
            current = next(field.type for field in current.fields if field.encode_name == part)
        while isinstance(current, msgspec.inspect.Metadata):
            current = current.type
        if isinstance(current, msgspec.inspect.DictType) and part == "*":
            current = current.value_type
        elif isinstance(current, msgspec.inspect.VarTupleType) and part == "*":
            current = current.item_type
    assert isinstance(current, msgspec.inspect.StructType)
    return [field.encode_name for field in current.fields]


def _decode(kind: type, value: object) -> object:
    if kind is Prefix and isinstance(value, str):
        return _prefix(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


def _prefix(text: str) -> Prefix:
    try:
        return Prefix(text)
    except ValueError as error:
        raise ValueError(f"{error}; expected a prefix such as 10.0.0.0/8") from error
