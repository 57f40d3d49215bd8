"""Sections of the agent's file about flows: the census, accounting and events of connection tracking."""

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

from natobs.config.toml import Prefix, Section, to_prefix

_MOST_TENANTS = 500
"""Each is a time series."""


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
            usual = str(ipaddress.ip_address(address))
            if address != usual:  # it would be compared with the usual form, and never be found
                raise ValueError(f"snat_ports: write {address} as {usual}")
        if len(self.tenants) > _MOST_TENANTS or "other" in self.tenants:
            raise ValueError(f"tenants: at most {_MOST_TENANTS}, and none of them called other")


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
            to_prefix(text)


class Events(Section, frozen=True):
    """Events of connection tracking: idle timeouts and lost state. Each entry that ends then costs 2 µs of CPU."""

    enabled: Annotated[
        bool, Meta(description="Count flows that expired idle and flows whose state was lost; see docs/events.md.")
    ] = False
