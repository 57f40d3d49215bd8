"""What is remembered of one target, in bounded memory: its latest attempt, round trips, and the last hour.

About 1 kB a target. Knows attempts and time; refuses to know metrics and threads.
"""

import ipaddress
import statistics
from array import array
from dataclasses import dataclass

from natobs.config import Prefix
from natobs.probes.model import Attempt, PathState, Target

_ROUND_TRIPS = 60
_MOST_PENDING = 16
"""Addresses of one attempt; more than a prober asks for."""
_SLOT_SECONDS = 300
_SLOTS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One target as a person sees it.

    Args:
        target: which.
        latest: its latest attempt; None before the first has ended.
        median_rtt: of the latest 60 round trips, in seconds, by whichever clock.
        tried: first attempts in the last hour, or since the start.
        succeeded: those of them that succeeded at once.
        address: the public address seen last.
    """

    target: Target
    latest: Attempt | None
    median_rtt: float | None
    tried: int
    succeeded: int
    address: str


class LastHour:
    """First attempts of the last hour, to five minutes, and those of them that succeeded at once."""

    __slots__ = ("_slot", "_succeeded", "_tried")

    def __init__(self) -> None:
        self._tried = array("I", [0] * _SLOTS)
        self._succeeded = array("I", [0] * _SLOTS)
        self._slot = 0

    def add(self, attempt: Attempt, now: float) -> None:
        """Take note of an attempt; retries are passed over.

        Args:
            attempt: it has ended.
            now: monotonic seconds.
        """
        self._turn(now)
        if not attempt.number:
            self._tried[self._slot % _SLOTS] += 1
            self._succeeded[self._slot % _SLOTS] += attempt.outcome.success and not attempt.outcome.syn_retransmits

    def sums(self, now: float) -> tuple[int, int]:
        """How many there were, and how many of them succeeded at once."""
        self._turn(now)
        return sum(self._tried), sum(self._succeeded)

    def _turn(self, now: float) -> None:
        """Forget the slots of five minutes that are more than an hour old."""
        slot = int(now // _SLOT_SECONDS)
        if slot == self._slot:
            return
        for passed in range(max(self._slot + 1, slot - _SLOTS + 1), slot + 1):
            self._tried[passed % _SLOTS] = self._succeeded[passed % _SLOTS] = 0
        self._slot = max(self._slot, slot)


class History:
    """One target's recent past."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.latest: Attempt | None = None
        self.path_mtu: int | None = None
        self.path_state: PathState | None = None
        self.certificate_expiry: float | None = None
        self.unexpected: bool | None = None
        """Whether the latest attempt was seen under an address that is not reserved; None while that is unknown."""
        self._address = ""
        self._pending: set[str] = set()
        self._round_trips = array("f")
        self._next_round_trip = 0
        self._hour = LastHour()

    @property
    def failing(self) -> bool:
        """Whether the latest attempt failed."""
        return self.latest is not None and not self.latest.outcome.success

    @property
    def critical(self) -> bool:
        """Whether the target is a critical one."""
        return self.target.settings.critical

    def add(self, attempt: Attempt, now: float) -> None:
        """Take note of an attempt.

        Args:
            attempt: it has ended.
            now: monotonic seconds.
        """
        self.latest = attempt
        outcome = attempt.outcome
        if outcome.path_mtu is not None:
            self.path_mtu = outcome.path_mtu
        if outcome.path_state is not None:
            self.path_state = outcome.path_state
        if outcome.certificate_expiry is not None:
            self.certificate_expiry = outcome.certificate_expiry
        if outcome.rtt is not None:
            self._add_round_trip(outcome.rtt)
        self._hour.add(attempt, now)
        allowed = self.target.settings.expect.addresses
        if outcome.observed is not None:
            self._address = outcome.observed[0]
            if allowed:
                self.unexpected = not _within(self._address, allowed)
        self._pending.clear()

    def saw(self, address: str) -> bool:
        """Take note of a public address; whether it is the first report of it since the latest attempt ended.

        Flows that outlive an attempt keep the address that they began with: only an attempt's own observation, on a
        fresh flow, says which address is in use.
        """
        if address in self._pending or len(self._pending) >= _MOST_PENDING:
            return False
        self._pending.add(address)
        return True

    def row(self, now: float) -> Row:
        """What a person sees."""
        median = statistics.median(self._round_trips) if self._round_trips else None
        return Row(self.target, self.latest, median, *self._hour.sums(now), self._address)

    def _add_round_trip(self, seconds: float) -> None:
        if len(self._round_trips) < _ROUND_TRIPS:
            self._round_trips.append(seconds)
        else:
            self._round_trips[self._next_round_trip] = seconds
        self._next_round_trip = (self._next_round_trip + 1) % _ROUND_TRIPS


def _within(address: str, allowed: tuple[Prefix, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in prefix.network for prefix in allowed)
