"""Every collector there is, in the order in which they run, and which part of the configuration each depends on.

The only module that knows them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from natobs.collectors.accounting import AccountingCollector, wanted
from natobs.collectors.allowances import AllowancesCollector
from natobs.collectors.base import Collector
from natobs.collectors.conntrack import ConntrackCollector
from natobs.collectors.events import EventsCollector
from natobs.collectors.firewall import FirewallCollector
from natobs.collectors.flows import FlowsCollector
from natobs.collectors.host import HostCollector, SelfCollector
from natobs.collectors.kernel_log import KernelLogCollector
from natobs.collectors.network import NetworkCollector
from natobs.collectors.operations import OperationsCollector
from natobs.collectors.peaks import PeaksCollector
from natobs.collectors.protocols import ProtocolsCollector
from natobs.collectors.routing import RoutingCollector
from natobs.collectors.softnet import SoftnetCollector
from natobs.collectors.sysctls import SysctlsCollector
from natobs.collectors.taps import TapsCollector
from natobs.config import Config


@dataclass(frozen=True, slots=True)
class Entry:
    """How one collector is made.

    Args:
        name: its name.
        build: makes one.
        settings: the part of the configuration that it is made from; while that stays, so does the instance,
            and with it everything that it has counted.
        wanted: whether the configuration asks for it at all; most are wanted always.
    """

    name: str
    build: Callable[[Config], Collector]
    settings: Callable[[Config], object] = lambda config: None
    wanted: Callable[[Config], bool] = lambda config: True


def _accounting(config: Config) -> AccountingCollector:
    settings = config.accounting
    state_file = Path(settings.state_file) if settings.state_file else None
    return AccountingCollector(wanted(config), settings.top, settings.names, state_file)


ALL: tuple[Entry, ...] = (
    Entry("conntrack", lambda config: ConntrackCollector()),
    Entry(
        "flows",
        lambda config: FlowsCollector(config.census, config.nat),
        lambda config: (config.census, config.nat),
    ),
    Entry("network", lambda config: NetworkCollector(config.links), lambda config: config.links),
    Entry(
        "peaks",
        lambda config: PeaksCollector(config.collectors.peak_interval_seconds),
        lambda config: config.collectors.peak_interval_seconds,
    ),
    Entry("allowances", lambda config: AllowancesCollector()),
    Entry("softnet", lambda config: SoftnetCollector()),
    Entry("protocols", lambda config: ProtocolsCollector()),
    Entry("host", lambda config: HostCollector()),
    Entry("routing", lambda config: RoutingCollector(config.nat), lambda config: config.nat),
    Entry(
        "firewall",
        lambda config: FirewallCollector(config.firewall.max_series),
        lambda config: config.firewall.max_series,
    ),
    Entry("accounting", _accounting, lambda config: (config.nat, config.accounting)),
    Entry("kernel_log", lambda config: KernelLogCollector()),
    Entry("taps", lambda config: TapsCollector(config.nat), lambda config: config.nat),
    Entry("events", lambda config: EventsCollector(), wanted=lambda config: config.events.enabled),
    Entry(
        "operations",
        lambda config: OperationsCollector(Path(config.operations.state_file)),
        lambda config: config.operations,
        lambda config: bool(config.operations.state_file),
    ),
    Entry("sysctls", lambda config: SysctlsCollector()),
    Entry("self", lambda config: SelfCollector()),
)


def build(config: Config, old: Config | None = None, present: Sequence[Collector] = ()) -> tuple[Collector, ...]:
    """The collectors that a configuration asks for.

    Args:
        config: what is asked for.
        old: the configuration that the present collectors were made from.
        present: collectors to keep where their settings are the same.
    """
    kept = {collector.name: collector for collector in present}
    return tuple(
        kept[entry.name]
        if old is not None and entry.name in kept and entry.settings(old) == entry.settings(config)
        else entry.build(config)
        for entry in ALL
        if entry.name not in config.collectors.disabled and entry.wanted(config)
    )
