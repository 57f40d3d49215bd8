"""How much each source, and all of them together, may ask for. Knows addresses and time; refuses to know what is asked.

A token bucket kept as one number: the time at which the bucket will be full
again (the generic cell rate algorithm of ITU-T I.371, annex A). Memory is
bounded: the source that was heard least recently is forgotten first. One that
keeps asking is never forgotten, and one that was is as good as full, unless
more sources than the table holds are at work: then the common rate holds.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from socket import AF_INET6, inet_pton

from natobs.probes.reflector.tally import Drop

SOURCES = 65_536
"""Sources that are remembered, in 11 MB."""

TOKEN_BYTES = 1500
"""A token is a packet, and this the size of one."""

_BURST_SECONDS = 1.0
"""What a source may ask for at once, as a time at its rate."""

_PREFIX_BYTES = 7
"""IPv6 sources are told apart by /56: what one customer is usually given (RFC 6177, section 2)."""


class StreamLimiters:
    """What one source may ask for over TCP: so many requests, and apart from these so many bytes.

    Apart, because clients behind one NAT share an address: whoever fetches much shall not keep the others from asking.
    """

    def __init__(self, source_rate: float, total_rate: float) -> None:
        self.requests = Limiter(source_rate, total_rate)
        """Echo connections and HTTP requests."""
        self.volume = Limiter(source_rate, total_rate)
        """Bytes that are echoed, and bodies."""


class Limiter:
    """Two rates: one for each source, one for all. Safe to be used from several threads.

    Args:
        source_rate: tokens a second for one source: an IPv4 address or an IPv6 /56.
        total_rate: tokens a second for all sources together.
        sources: how many are remembered.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        source_rate: float,
        total_rate: float,
        sources: int = SOURCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source_cost = 1 / source_rate
        self._total_cost = 1 / total_rate
        # a rate below one a second still lets one through
        self._source_burst = max(_BURST_SECONDS, self._source_cost)
        self._total_burst = max(_BURST_SECONDS, self._total_cost)
        self._most = sources
        self._clock = clock
        self._full_at: OrderedDict[str | bytes, float] = OrderedDict()
        self._all_full_at = 0.0
        self._lock = threading.Lock()

    @property
    def sources(self) -> int:
        """Sources that are remembered now."""
        return len(self._full_at)

    def admit(self, host: str, size: int = 0) -> Drop | None:
        """Take the tokens for something of a size in bytes: one, and one more for each 1500 bytes.

        What is dearer than the bucket holds is admitted when the bucket is not empty; later requests pay for it.

        Args:
            host: numeric address of the source.
            size: of what is asked for.

        Returns:
            None when it may pass, else which rate forbids it.
        """
        key = inet_pton(AF_INET6, host.partition("%")[0])[:_PREFIX_BYTES] if ":" in host else host
        tokens = 1 + size // TOKEN_BYTES
        with self._lock:
            now = self._clock()
            full_at = self._full_at.pop(key, 0.0)
            full_at = max(full_at, now)
            if full_at - now > self._source_burst - self._source_cost / 2:
                self._full_at[key] = full_at
                return Drop.SOURCE_RATE
            if len(self._full_at) >= self._most:
                self._full_at.popitem(last=False)
            all_full_at = max(self._all_full_at, now)
            if all_full_at - now > self._total_burst - self._total_cost / 2:
                self._full_at[key] = full_at
                return Drop.TOTAL_RATE
            self._full_at[key] = full_at + tokens * self._source_cost
            self._all_full_at = all_full_at + tokens * self._total_cost
            return None
