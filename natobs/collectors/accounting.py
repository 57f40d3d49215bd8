"""Accounting: attempts and answers of forwarded flows, by protocol, destination and private host.

Reads the table that ``natobs accounting install`` loads; never makes, changes or
removes it. What conntrack refused is part of the attempts: counted before it, and
not behind it. Which series there are is the business of
:mod:`natobs.collectors.topk`; they outlive restarts of the agent by a state file.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from natobs.catalogue.metrics import accounting as metric
from natobs.catalogue.types import Metric
from natobs.collectors.base import Gap, Reading
from natobs.collectors.names import ServiceNames
from natobs.collectors.statefile import StateFile
from natobs.collectors.topk import ZERO, Counts, Increments, Memory, TopCounters
from natobs.config import Config
from natobs.errors import UnavailableError
from natobs.kernel import accounting as kernel
from natobs.kernel import accounting_table
from natobs.kernel.accounting_table import MARK, NAME
from natobs.kernel.machine import Machine
from natobs.kernel.nft_sets import Element

OTHER = "other"
_WHOLE_SECONDS = 60.0
_PROTOCOLS = {6: "tcp", 17: "udp"}
"""Protocols whose destinations are told apart, by number."""

_COUNTERS = {
    *(
        f"{what}_{protocol}"
        for what in ("offered", "tracked", "attempts", "repeated", "answered", "refused")
        for protocol in metric.PROTOCOLS
    ),
    *(f"{what}_{direction}" for what in ("forwarded", "resets") for direction in metric.DIRECTIONS),
    *("midstream", "quarantined", "fragmentation_needed"),
}
"""The table's counters."""

Place = tuple[str, str, str]
"""Destination, port and protocol, as labelled."""
Counters = Mapping[str, kernel.Counter]
_NOTHING: kernel.Counter = (0, 0)


def wanted(config: Config) -> accounting_table.Settings:
    """The table that a configuration asks for."""
    return accounting_table.Settings(
        inside=[prefix.network for prefix in config.nat.inside],
        destinations=config.accounting.destinations,
        hosts=config.accounting.hosts,
        timeout_seconds=config.accounting.timeout_seconds,
        label=config.accounting.label,
    )


class State(msgspec.Struct):
    """What goes on after a restart.

    Args:
        handle: of the table that was read last.
        read: what its counters said.
        before: what the tables before it had counted, by the same names.
        untracked: by protocol, what conntrack has refused.
        destinations: by protocol.
        hosts: of all protocols.
    """

    handle: int = 0
    read: dict[str, kernel.Counter] = {}
    before: dict[str, kernel.Counter] = {}
    untracked: dict[str, int] = {}
    destinations: dict[str, Memory[Place]] = {}
    hosts: Memory[str] = msgspec.field(default_factory=Memory)


class AccountingCollector:
    """Reads counters and sets, and credits what is new.

    Args:
        settings: what the table should be made for.
        top: hosts, and destinations of each protocol, with series of their own.
        names: prefix or address to the name of a service.
        state_file: keeps the series while the agent is restarted; None for none.
        clock: seconds that never go back; tests bring their own.
    """

    name = "accounting"
    metrics = (
        metric.INSTALLED,
        metric.CURRENT,
        metric.ATTEMPTS,
        metric.UNTRACKED,
        metric.ANSWERED,
        metric.REFUSED,
        metric.RETRANSMITTED,
        metric.DESTINATION_ATTEMPTS,
        metric.DESTINATION_ANSWERED,
        metric.HOST_ATTEMPTS,
        metric.MIDSTREAM,
        metric.QUARANTINED,
        metric.RESETS,
        metric.FRAGMENTATION,
        metric.FORWARDED_PACKETS,
        metric.FORWARDED_BYTES,
        metric.ELEMENTS,
        metric.ELEMENTS_LIMIT,
    )

    def __init__(
        self,
        settings: accounting_table.Settings,
        top: int,
        names: Mapping[str, str],
        state_file: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._top = top
        self._clock = clock
        self._whole = (0, False, 0.0)
        """Handle of the table whose rules were counted last, whether all were there, and until when that holds."""
        self._mark = accounting_table.mark(settings)
        self._names = ServiceNames(names)
        self._file = StateFile(state_file, State) if state_file else None
        self._increments = {name: Increments() for name in metric.SETS}
        self._places: dict[bytes, Place] = {}

    @cached_property
    def _state(self) -> State:
        """Loaded by the first run: until then one with another configuration may go on counting and saving."""
        return (self._file.load() if self._file else None) or State()

    @cached_property
    def _destinations(self) -> dict[str, TopCounters[Place]]:
        return {
            protocol: TopCounters(
                self._top if protocol in _PROTOCOLS.values() else 0,
                self._state.destinations.setdefault(protocol, Memory()),
            )
            for protocol in metric.PROTOCOLS
        }

    @cached_property
    def _hosts(self) -> TopCounters[str]:
        return TopCounters(self._top, self._state.hosts)

    def collect(self, machine: Machine) -> Reading:
        """Six sets, then the counters, so that no set is ahead of its total; two looks at the table around them."""
        reading = Reading()
        table = kernel.read_table(machine)
        ours = table is not None and table.comment.startswith(MARK)
        reading.add(metric.INSTALLED, ours)
        if table is None or not ours:
            detail = "not installed: natobs accounting install loads the counters of attempts and answers"
            reading.gaps.append(Gap("absent", detail if table is None else f"a foreign table inet {NAME}; {detail}"))
            return reading
        elements = {name: kernel.read_elements(machine, name) for name in metric.SETS}
        counters = kernel.read_counters(machine)
        if not counters.keys() >= _COUNTERS:
            raise UnavailableError("error", "the table is another version's: natobs accounting install replaces it")
        if kernel.read_table(machine) != table:
            raise UnavailableError("busy", "the accounting table was replaced while it was read")
        if table.handle != self._state.handle:
            self._restart(table.handle)
        everything = self._since_the_first(counters)
        self._credit(elements, everything)
        if self._file is not None:
            with reading.part():
                self._file.save(self._state)
        with reading.part():
            reading.add(metric.CURRENT, table.comment == self._mark and self._is_whole(machine, table.handle))
        self._outbound(reading, everything)
        self._forwarded(reading, everything)
        limits = {"hosts": self._settings.hosts}
        for name, found in elements.items():
            reading.add(metric.ELEMENTS, _fuller(found), name)
            reading.add(metric.ELEMENTS_LIMIT, limits.get(name, self._settings.destinations), name)
        return reading

    def _is_whole(self, machine: Machine, handle: int) -> bool:
        """Whether the rules are all there, and once; what was found holds for a minute."""
        now = self._clock()
        if (handle, True) != self._whole[:2] or now >= self._whole[2]:
            self._whole = handle, kernel.is_whole(machine, self._settings), now + _WHOLE_SECONDS
        return self._whole[1]

    def _restart(self, handle: int) -> None:
        """Another table than the one that was read last: its counters and elements begin at zero."""
        self._state.handle = handle
        self._leave(*self._state.read)
        for increments in self._increments.values():
            increments.restart()

    def _since_the_first(self, counters: Counters) -> Counters:
        """What the counters of this table and of those before it have counted, `nft reset` or not."""
        state = self._state
        self._leave(*(name for name, counter in counters.items() if counter < state.read.get(name, _NOTHING)))
        state.read = dict(counters)
        return {name: _plus(state.before.get(name, _NOTHING), counter) for name, counter in counters.items()}

    def _leave(self, *names: str) -> None:
        """Counters that began at zero again: what they said last is past."""
        state = self._state
        for name in names:
            state.before[name] = _plus(state.before.get(name, _NOTHING), state.read.pop(name))

    def _credit(self, elements: Mapping[str, list[Element]], counters: Counters) -> None:
        attempts = {protocol: self._attempts(counters, protocol) for protocol in metric.PROTOCOLS}
        more = {name: self._increments[name].since(found) for name, found in elements.items()}
        self._name(elements["attempts"], elements["answers"])
        places: dict[Place, Counts] = {}
        for key, count in more["attempts"].items():
            place = self._places[key]
            places[place] = places.get(place, ZERO).plus(Counts(count, 0))
        for key, count in more["answers"].items():
            place = self._places[key]
            places[place] = places.get(place, ZERO).plus(Counts(0, count))
        present = set(self._places.values())
        for protocol, top in self._destinations.items():
            total = Counts(attempts[protocol], _packets(counters, f"answered_{protocol}"))
            top.update(total, {place: count for place, count in places.items() if place[2] == protocol}, present)
        hosts = {kernel.host_of(key): Counts(count, 0) for key, count in more["hosts"].items()}
        now = {kernel.host_of(key) for key, _bytes, _packets in elements["hosts"]}
        self._hosts.update(Counts(sum(attempts.values()), 0), hosts, now)

    def _attempts(self, counters: Counters, protocol: str) -> int:
        """What was counted behind conntrack, and what did not get there; the latter never falls."""
        refused = _packets(counters, f"offered_{protocol}") - _packets(counters, f"tracked_{protocol}")
        untracked = self._state.untracked
        untracked[protocol] = max(untracked.get(protocol, 0), refused)
        return _packets(counters, f"attempts_{protocol}") + untracked[protocol]

    def _name(self, *sets: list[Element]) -> None:
        """Know the place of every element that there is, and of no other."""
        known = self._places
        self._places = {
            key: known.get(key) or self._place(key) for elements in sets for key, _bytes, _packets in elements
        }

    def _place(self, key: bytes) -> Place:
        found = kernel.destination_of(key)
        return self._names.of(found.address), str(found.port), _PROTOCOLS.get(found.protocol, OTHER)

    def _outbound(self, reading: Reading, counters: Counters) -> None:
        for protocol, top in self._destinations.items():
            memory = top.memory
            reading.add(metric.ATTEMPTS, memory.credited.attempts, protocol)
            reading.add(metric.ANSWERED, memory.credited.answers, protocol)
            reading.add(metric.UNTRACKED, self._state.untracked[protocol], protocol)
            reading.add(metric.REFUSED, _packets(counters, f"refused_{protocol}"), protocol)
            reading.add(metric.RETRANSMITTED, _packets(counters, f"repeated_{protocol}"), protocol)
            for place, value in {**memory.shown, (OTHER, "", protocol): memory.rest}.items():
                reading.add(metric.DESTINATION_ATTEMPTS, value.attempts, *place)
                reading.add(metric.DESTINATION_ANSWERED, value.answers, *place)
        for host, value in {**self._hosts.memory.shown, OTHER: self._hosts.memory.rest}.items():
            reading.add(metric.HOST_ATTEMPTS, value.attempts, host)

    def _forwarded(self, reading: Reading, counters: Counters) -> None:
        for direction in metric.DIRECTIONS:
            packets, octets = counters[f"forwarded_{direction}"]
            reading.add(metric.FORWARDED_PACKETS, packets, direction)
            reading.add(metric.FORWARDED_BYTES, octets, direction)
            reading.add(metric.RESETS, _packets(counters, f"resets_{direction}"), direction)
        plain: dict[str, Metric] = {
            "midstream": metric.MIDSTREAM,
            "quarantined": metric.QUARANTINED,
            "fragmentation_needed": metric.FRAGMENTATION,
        }
        for name, row in plain.items():
            reading.add(row, _packets(counters, name))


def _fuller(elements: list[Element]) -> int:
    """How many there are of the IP version that has more; each has a set, and keys of a length, of its own."""
    return max(Counter(len(key) for key, _bytes, _packets in elements).values(), default=0)


def _plus(one: kernel.Counter, other: kernel.Counter) -> kernel.Counter:
    return one[0] + other[0], one[1] + other[1]


def _packets(counters: Counters, name: str) -> int:
    return counters[name][0]
