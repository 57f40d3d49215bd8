"""Keeps a bounded number of counter series and credits everything else to one that never falls.

Pure: counters of things that come, go, move and restart in, values out. Knows
neither firewalls nor metrics.

Every thing (say, a rule) is known by an identity and belongs to a series. What
it counted since the last reading is credited to exactly one series: its own, or
a *rest* where it has none. So a rest never falls, whatever happens to the
things behind it. A series follows the counters themselves: with one thing behind
it, it shows that thing's counter, restarts included. With several, it restarts
when all of them did; until then what vanished or restarted stays in the sum.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

Key = tuple[str, ...]
"""The label values of a series."""


class Entry(NamedTuple):
    """One thing that counts, as it was read.

    Args:
        identity: tells it from every other of its source.
        key: the series that it belongs to.
        rests: where it is credited if that has no place: the first that there is room for, the last in any case.
        preferred: whether its series comes before those that are not.
        packets: its counter.
        bytes: its other counter; the two restart together.
    """

    identity: Hashable
    key: Key
    rests: tuple[Key, ...]
    preferred: bool
    packets: int
    bytes: int


class Total:
    """The value of a series."""

    __slots__ = ("bytes", "packets", "preferred", "sources")

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self.preferred = False
        self.sources: frozenset[str] = frozenset()


class _Tally:
    """What one reading says of one series."""

    __slots__ = ("bytes", "kept", "more_bytes", "more_packets", "packets", "preferred", "promoted", "rests", "sources")

    def __init__(self, rests: tuple[Key, ...], sources: frozenset[str]) -> None:
        self.rests = rests
        self.sources = sources
        self.packets = self.bytes = 0  # what the counters say
        self.more_packets = self.more_bytes = 0  # what they counted since the last reading
        self.kept = False  # a thing that was behind the series is still, and did not restart
        self.promoted = False  # what a thing counted before is in a rest
        self.preferred = False


class Ledger:
    """At most ``limit`` series, as many rests, and one more rest for each last resort.

    Which things have a series of their own is sticky: one gives way only when it
    is gone, or when it is not preferred and a preferred one needs the place. A
    series that had been credited to a rest starts at zero.

    Args:
        limit: the most series, 1 or more.
        follow: credit a thing that moves to another series with what it counted
            since, so that series do not jump when things change places. Without
            it a series always equals the counters behind it.
    """

    def __init__(self, limit: int, *, follow: bool = False) -> None:
        self._limit = limit
        self._follow = follow
        self._last: dict[str, dict[Hashable, Entry]] = {}
        self._series: dict[Key, Total] = {}
        self._rests: dict[Key, Total] = {}

    def update(self, read: Mapping[str, Sequence[Entry]]) -> dict[Key, Total]:
        """Credit one reading, and give the series that it says something about.

        Args:
            read: entries by source. A source that could not be read is left out: then nothing is
                concluded from the absence of its things, and its series are not given.
        """
        tallies = self._tally(read)
        new = self._admit(tallies, read.keys())
        given: dict[Key, Total] = {}
        for key, tally in tallies.items():
            total = self._series.get(key)
            if total is None:
                total = self._rest(tally.rests)
                total.sources |= tally.sources
            else:
                elsewhere = total.sources - read.keys()
                goes_on = tally.promoted if key in new else tally.kept or elsewhere
                total.sources = tally.sources | elsewhere
                total.preferred = tally.preferred
                given[key] = total
                if not goes_on:
                    total.packets, total.bytes = tally.packets, tally.bytes
                    continue
            total.packets += tally.more_packets
            total.bytes += tally.more_bytes
        given.update((key, rest) for key, rest in self._rests.items() if not rest.sources.isdisjoint(read))
        return given

    def _tally(self, read: Mapping[str, Sequence[Entry]]) -> dict[Key, _Tally]:
        tallies: dict[Key, _Tally] = {}
        for source, entries in read.items():
            before = self._last.get(source, {})
            itself = frozenset({source})
            now: dict[Hashable, Entry] = {}
            for entry in entries:
                identity, key, rests, preferred, packets, octets = entry
                tally = tallies.get(key)
                if tally is None:
                    tally = tallies[key] = _Tally(rests, itself)
                elif source not in tally.sources:
                    tally.sources |= itself
                tally.preferred |= preferred
                tally.packets += packets
                tally.bytes += octets
                old = before.get(identity)
                if old is not None and old.packets <= packets and old.bytes <= octets:
                    packets -= old.packets
                    octets -= old.bytes
                    tally.kept |= self._follow or old.key == key
                    tally.promoted |= old.key not in self._series
                tally.more_packets += packets
                tally.more_bytes += octets
                now[identity] = entry
            self._last[source] = now
        return tallies

    def _admit(self, tallies: Mapping[Key, _Tally], sources: Collection[str]) -> set[Key]:
        """Give up the series of things that are gone, give free places to others; gives the new series."""
        for key in [key for key, total in self._series.items() if key not in tallies and total.sources <= set(sources)]:
            del self._series[key]
        waiting = [key for key, tally in tallies.items() if key not in self._series and key not in tally.rests]
        waiting.sort(key=lambda key: not tallies[key].preferred)  # stable: else in the order of reading
        yielding = [
            key
            for key, total in self._series.items()
            if not (tallies[key].preferred if key in tallies else total.preferred)
        ]
        new = set()
        for key in waiting:
            if len(self._series) >= self._limit:
                if not (tallies[key].preferred and yielding):
                    break
                del self._series[yielding.pop()]
            self._series[key] = Total()
            new.add(key)
        return new

    def _rest(self, rests: tuple[Key, ...]) -> Total:
        for key in rests[:-1]:
            total = self._rests.get(key)
            if total is None and len(self._rests) < self._limit:
                total = self._rests[key] = Total()
            if total is not None:
                return total
        return self._rests.setdefault(rests[-1], Total())
