"""Sections about probes in the agent's process, the responder, and push over OTLP, which the prober's file has too."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from natobs.config.toml import Prefix, Section

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""
_BASE_URL = re.compile(r"https?://([\w.~-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(?P<path>(/\S*)?)")
_LAST_PORT = 65535


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
            "They must be within `nat.inside`. One that this machine does not have yet is tried again every 2 s."
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
