"""How long packets of probes stay inside this machine, told by where they were seen. Pure.

A probe passes a NAT at four points: its request comes in from the inside and
goes out, the answer comes in from the outside and goes back in. Which of them a
sighting is follows from its direction and the private prefixes alone, so one
device may be all four. After translation the addresses differ; the token does not.

* Received from a private address for one that is not private: request, in.
* Sent to an address that is not private: request, out. Behind a 1:1 cloud NAT
  its source is private too, so the source says nothing.
* Received from an address that is not private: answer, in.
* Sent from an address that is not private to a private one: answer, out.

What stays between private addresses is no business of a NAT. Answers count only
if their request was seen to come from the inside: what this machine asks on its
own account never was. A request that this machine answers itself is forgotten.

A packet that is sent through layers (VLAN, bond, bridge) is seen at each of the
devices; it has left when the last of them gave it away. So a packet is settled
some time after it was seen at both ends, or when it was not for too long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from natobs.kernel.address import Prefixes
from natobs.kernel.tap import Sighting

Direction = Literal["out", "back"]
"""``out`` for requests, ``back`` for answers."""

MOST_OPEN = 4096
"""Packets that have been seen at one end."""
MOST_KNOWN = 16_384
"""Requests whose answers are recognised; at 2,000 probes a second those of the last 8 seconds."""
TIMEOUT_SECONDS = 2.0
"""After which a packet that was seen at one end only is missed."""
SETTLE_SECONDS = 0.25
"""From one device to those below it takes microseconds, but sightings may be told a tenth of a second apart."""
_LONGEST_NANOSECONDS = int(TIMEOUT_SECONDS * 1e9)

_Key = tuple[bytes, Direction]


@dataclass(frozen=True, slots=True)
class Passage:
    """What became of one packet of a probe, or of several that were the same.

    Args:
        direction: which way.
        source: address of the private host, 4 or 16 bytes.
        arrivals: how often it came in.
        departures: how often it went out.
        nanoseconds: from coming in to leaving; None when it was seen at one end only, or the clock was set meanwhile.
    """

    direction: Direction
    source: bytes
    arrivals: int
    departures: int
    nanoseconds: int | None


@dataclass(slots=True)
class _Flight:
    source: bytes | None
    since: float
    came: int = 0
    left: int = 0
    arrivals: int = 0
    departures: int = 0
    came_at: str = ""
    left_at: set[str] = field(default_factory=set)
    first_left: str = ""

    def note(self, seen: Sighting) -> None:
        if seen.outgoing:
            if seen.device not in self.left_at:
                self.left_at.add(seen.device)
                self.left = max(self.left, seen.nanoseconds)
                self.first_left = self.first_left or seen.device
            # Once more at the same device is another packet; at a device below it is the same one.
            self.departures += seen.device == self.first_left
        else:
            self.came = min(self.came or seen.nanoseconds, seen.nanoseconds)
            self.came_at = self.came_at or seen.device
            self.arrivals += seen.device == self.came_at

    def passage(self, direction: Direction) -> Passage | None:
        if self.source is None:
            return None
        time = self.left - self.came if self.came and self.left else -1
        stayed = time if 0 <= time <= _LONGEST_NANOSECONDS else None
        return Passage(direction, self.source, self.arrivals, self.departures, stayed)


class Passages:
    """Joins the sightings of each packet, in whatever order they come.

    Args:
        inside: the private prefixes.
        most_open: bound of the packets seen at one end; the oldest is missed for a new one.
        most_known: bound of the requests whose answers are recognised.
    """

    def __init__(self, inside: Prefixes, most_open: int = MOST_OPEN, most_known: int = MOST_KNOWN) -> None:
        self._inside = inside
        self._most_open = most_open
        self._most_known = most_known
        self._open: dict[_Key, _Flight] = {}
        self._paired: dict[_Key, _Flight] = {}
        self._sources: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        """Packets that are not settled."""
        return len(self._open) + len(self._paired)

    def see(self, seen: Sighting, now: float) -> list[Passage]:
        """Take a sighting; the packets that had to be settled to make room for it.

        Args:
            seen: what was seen.
            now: on a monotonic clock.
        """
        direction = self._direction(seen)
        if direction is None:
            return []
        token = seen.token
        if direction == "out" and not seen.outgoing:
            self._know(token, seen.source)
        source = self._sources.get(token)
        if direction == "back":
            if source is None:
                return []
            if seen.outgoing and self._answered_here(token):
                return []
        key = (token, direction)
        flight = self._paired.get(key)
        if flight is not None:
            flight.note(seen)
            return []
        flight = self._open.get(key)
        if flight is None:
            flight = self._open[key] = _Flight(source, now)
        flight.source = source
        flight.note(seen)
        if flight.arrivals and flight.departures:
            self._paired[key] = self._open.pop(key)
            flight.since = now
        return [*_cut(self._open, self._most_open), *_cut(self._paired, self._most_open)]

    def settle(self, now: float) -> list[Passage]:
        """The packets whose time is up."""
        return [*_expire(self._open, now - TIMEOUT_SECONDS), *_expire(self._paired, now - SETTLE_SECONDS)]

    def _direction(self, seen: Sighting) -> Direction | None:
        from_inside = self._inside.contain(seen.family, seen.source)
        to_inside = self._inside.contain(seen.family, seen.destination)
        if seen.outgoing:
            if not to_inside:
                return "out"
            return None if from_inside else "back"
        if not from_inside:
            return "back"
        return None if to_inside else "out"

    def _know(self, token: bytes, source: bytes) -> None:
        """Remember where a request came from, the latest last."""
        self._sources.pop(token, None)
        self._sources[token] = source
        if len(self._sources) > self._most_known:
            del self._sources[next(iter(self._sources))]

    def _answered_here(self, token: bytes) -> bool:
        """Whether the request never left although the answer does; then forget it."""
        request = self._open.get((token, "out"))
        if request is None or request.departures or (token, "back") in self._open:
            return False
        del self._open[token, "out"]
        del self._sources[token]
        return True


def _cut(flights: dict[_Key, _Flight], most: int) -> Iterator[Passage]:
    while len(flights) > most:
        yield from _take(flights, next(iter(flights)))


def _expire(flights: dict[_Key, _Flight], until: float) -> Iterator[Passage]:
    """Flights are in the order of their times, because each is entered at its own."""
    while flights:
        key = next(iter(flights))
        if flights[key].since > until:
            return
        yield from _take(flights, key)


def _take(flights: dict[_Key, _Flight], key: _Key) -> Iterator[Passage]:
    passage = flights.pop(key).passage(key[1])
    if passage is not None:
        yield passage
