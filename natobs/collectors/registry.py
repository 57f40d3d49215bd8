"""Every collector there is, in the order in which they run, and which part of the configuration each depends on.

The only module that knows them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from natobs.collectors.base import Collector
from natobs.collectors.conntrack import ConntrackCollector
from natobs.config import Config


@dataclass(frozen=True, slots=True)
class Entry:
    """How one collector is made.

    Args:
        name: its name.
        build: makes one.
        settings: the part of the configuration that it is made from; while that stays, so does the instance,
            and with it everything that it has counted.
    """

    name: str
    build: Callable[[Config], Collector]
    settings: Callable[[Config], object] = lambda config: None


ALL: tuple[Entry, ...] = (Entry("conntrack", lambda config: ConntrackCollector()),)


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
        if entry.name not in config.collectors.disabled
    )
