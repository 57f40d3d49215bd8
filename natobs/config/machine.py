"""Sections of the agent's file about the agent itself, this machine and what is read of it."""

from typing import Annotated

from msgspec import Meta

from natobs.config.toml import Prefix, Section

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""RFC 1918, RFC 6598 and RFC 4193."""


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


class Link(Section, frozen=True):
    """What natobs cannot read about one network interface."""

    capacity_bits_per_second: Annotated[
        int, Meta(ge=1, description="What the cloud grants this interface; needed where the NIC reports no speed.")
    ]


class Operations(Section, frozen=True):
    """Events and planned maintenance, which `natobs event` and `natobs maintenance` record."""

    state_file: Annotated[
        str,
        Meta(description="Keeps them, across restarts of the machine too; empty for none. See docs/operations.md."),
    ] = "/var/lib/natobs/operations.json"


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
