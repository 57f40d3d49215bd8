"""The file that ``natobs generate`` reads: what a fleet of NATs wants other than the defaults.

Knows keys and their limits. Which objectives and alerts there are, and whether a
setting names one, is known where the rules are made.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from natobs.config.toml import Section, decode, read
from natobs.errors import ConfigError

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_URL = r"^https?://\S+$"


class Urls(Section, frozen=True):
    """Where a person is sent by an alert."""

    runbooks: Annotated[
        str, Meta(pattern=_URL, description="Folder of the runbooks; the name of the alert and .md are added.")
    ] = "https://runbooks.example.com/natobs"
    grafana: Annotated[
        str, Meta(pattern=_URL, description="Grafana; the path of a dashboard and its variables are added.")
    ] = "https://grafana.example.com"


class ObjectiveSettings(Section, frozen=True):
    """What an objective has other than in the catalogue."""

    target: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Meta(description="Share of events or minutes that must be good, such as 0.999."),
    ] = None
    per_minute: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Events a minute at ordinary times; decides how many failures page."),
    ] = None
    enabled: Annotated[bool, Meta(description="Whether there is a budget at all.")] = True


class Service(Section, frozen=True):
    """A destination with an objective of its own, by the flows that the kernel counts."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$",
            description="Its name in `accounting.names` of the agents, or its address.",
        ),
    ]
    target: Annotated[float, Meta(gt=0, lt=1, description="Share of flows that must be answered.")] = 0.999
    per_minute: Annotated[float, Meta(gt=0, description="Flows a minute at ordinary times.")] = 60.0


class AlertSettings(Section, frozen=True):
    """What an alert has other than in the catalogue."""

    enabled: Annotated[bool, Meta(description="Whether there is a rule at all.")] = True
    info: Annotated[float | None, Meta(description="Threshold of severity info.")] = None
    warning: Annotated[float | None, Meta(description="Threshold of severity warning.")] = None
    critical: Annotated[float | None, Meta(description="Threshold of severity critical.")] = None


class Receivers(Section, frozen=True):
    """Where Alertmanager sends what: YAML, as it stands below the name of a receiver in `alerts/receivers`."""

    page: Annotated[str, Meta(description="For whoever is woken.")] = ""
    ticket: Annotated[str, Meta(description="For whoever looks at it in the daytime.")] = ""
    freeze: Annotated[str, Meta(description="For whatever, or whoever, changes the NATs.")] = ""
    watchdog: Annotated[
        str, Meta(description="For a service outside that raises the alarm when it is not called every few minutes.")
    ] = ""


class PriceTier(Section, frozen=True):
    """What egress costs, up to an amount in a month."""

    per_gb: Annotated[float, Meta(ge=0, description="Price of a gigabyte (10^9 bytes).")]
    up_to_gb: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="End of the tier; none for the last.")
    ] = None


class Prices(Section, frozen=True):
    """For the estimate of egress cost on the executive dashboard."""

    currency: Annotated[str, Meta(min_length=1, max_length=8, description="As it is shown.")] = "USD"
    tiers: Annotated[tuple[PriceTier, ...], Meta(min_length=1, description="From the first gigabyte on.")] = (
        PriceTier(up_to_gb=100, per_gb=0.0),
        PriceTier(up_to_gb=10_240, per_gb=0.09),
        PriceTier(up_to_gb=51_200, per_gb=0.085),
        PriceTier(per_gb=0.07),
    )

    def __post_init__(self) -> None:
        ends = [tier.up_to_gb for tier in self.tiers]
        bounded = [end for end in ends[:-1] if end is not None]
        if ends[-1] is not None or len(bounded) != len(ends) - 1 or bounded != sorted(set(bounded)):
            raise ValueError("tiers: each but the last needs up_to_gb, in ascending order, and the last has none")


class Logs(Section, frozen=True):
    """Where the logs of the NATs are, for panels on the dashboards."""

    store: Annotated[
        Literal["none", "loki", "elasticsearch"], Meta(description="What Grafana asks for them; none for no panels.")
    ] = "none"
    select: Annotated[
        Annotated[str, Meta(min_length=1, max_length=500)] | None,
        Meta(
            description="Query that selects the lines of the chosen NATs: LogQL without filters, or Lucene. By default "
            "those whose labels (or fields) `nat_cluster` and `nat` are what is chosen.",
        ),
    ] = None


class Fleet(Section, frozen=True):
    """The whole file."""

    urls: Urls = Urls()
    receivers: Receivers = Receivers()
    group_labels: Annotated[
        tuple[str, ...],
        Meta(description="Labels of your scrape configuration that NATs are told apart by beside nat_cluster and nat."),
    ] = ()
    objectives: Annotated[
        dict[str, ObjectiveSettings], Meta(description="By id, for example `[objectives.nat-outbound-success]`.")
    ] = msgspec.field(default_factory=dict)
    services: Annotated[tuple[Service, ...], Meta(max_length=100, description="Critical services.")] = ()
    alerts: Annotated[
        dict[str, AlertSettings], Meta(description="By name, for example `[alerts.NatConntrackUsage]`.")
    ] = msgspec.field(default_factory=dict)
    link_capacity_bits_per_second: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Of each interface of a NAT whose agent knows the capacity of none."),
    ] = None
    public_addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses that are reserved for the fleet; another one of the same IP version that is seen "
            "raises an alert.",
        ),
    ] = ()
    prices: Prices = Prices()
    logs: Logs = Logs()

    def __post_init__(self) -> None:
        for label in self.group_labels:
            if not _LABEL.fullmatch(label) or label in {"nat_cluster", "nat", "subnet", "instance", "job", "le"}:
                raise ValueError(f"group_labels: {label!r} is no label that could be added")
        for address in self.public_addresses:
            ipaddress.ip_address(address)
        names = [service.name for service in self.services]
        if len(set(names)) != len(names):
            raise ValueError("services: a name stands there twice")


def load_fleet(path: Path | None) -> Fleet:
    """Read the file; None is the fleet of defaults.

    Raises:
        ConfigError: it cannot be read, or is wrong.
    """
    if path is None:
        return Fleet()
    return decode(read(path), str(path), Fleet)


def unknown_name(path: str, name: str, known: list[str]) -> ConfigError:
    """The error for a setting of something that does not exist."""
    return ConfigError(f"{path}.{name}: unknown; there are {', '.join(sorted(known))}")
