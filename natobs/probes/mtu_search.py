"""The search for the largest packet that passes: which sizes to try next, and when the answer is certain.

Pure. Sizes are whole IP packets in bytes. A packet that was not answered may
just have been lost, so that only the second loss of a size counts as certain,
and an answer always outweighs a loss. What was found is where the next search
begins.
"""

from collections import Counter
from collections.abc import Iterable

COMMON = (1280, 1400, 1420, 1440, 1450, 1476, 1480, 1492, 1500, 8500, 8896)
"""Tried first: the least of IPv6 (RFC 8200), and what IPsec, WireGuard, VXLAN, GRE, IP-in-IP, PPPoE, Ethernet and two
clouds' jumbo frames leave."""

_AT_ONCE = 7
_CERTAIN = 2


class Search:
    """What is known about one path.

    Args:
        smallest: a size that passes wherever anything passes.
        full: the size that is hoped for.
        before: what an earlier search of the same path ended with.
    """

    def __init__(self, smallest: int, full: int, before: "Search | None" = None) -> None:
        self.smallest = smallest
        self.full = full
        self.low = 0
        self.high = full
        self._losses: Counter[int] = Counter()
        self._told = 0
        self._tried_common = False
        self._guess: tuple[int, ...] = ()
        if before is not None and before.low and before.full == full:
            self._guess = tuple(size for size in (before.low, before.high) if smallest < size < full)
            self._tried_common = True
            if before.settled:
                self._losses[before.high] = _CERTAIN - 1

    @property
    def clean(self) -> bool:
        """Whether the full size passed."""
        return self.low >= self.full

    @property
    def settled(self) -> bool:
        """Whether ``low`` is the largest size that passes, for certain."""
        return self.clean or (self.low > 0 and self.high == self.low + 1 and self._certain)

    @property
    def _certain(self) -> bool:
        return self._losses[self.high] >= _CERTAIN

    def next(self) -> tuple[int, ...]:
        """The sizes to try now, all at once; none when it is settled."""
        if not self.low:
            return tuple(sorted({self.smallest, *self._guess, self.full}))
        if self.settled:
            return ()
        sizes = {self.high} if self.high == self.low + 1 else set(self._between())
        if self._losses[self.full] < _CERTAIN:
            sizes.add(self.full)
        return tuple(sorted(sizes))

    def awaits(self, sizes: Iterable[int]) -> bool:
        """Whether an answer to one of these sizes would still tell something."""
        end = self.high if self._certain else self.full + 1
        return any(self.low < size < end for size in sizes)

    def passed(self, size: int) -> None:
        """A packet of this size was answered."""
        self._losses[size] = 0
        self.low = max(self.low, size)
        if self.low >= self.high:
            # The losses below were chance.
            self._losses = Counter({lost: count for lost, count in self._losses.items() if lost > self.low})
            self.high = min(self._losses, default=self.full)

    def lost(self, sizes: Iterable[int]) -> None:
        """Packets of these sizes were not answered in time."""
        for size in sizes:
            if size > self.low:
                self._losses[size] += 1
                self.high = min(self.high, size)

    def limit(self, size: int) -> None:
        """Somebody on the way says that nothing larger than ``size`` passes."""
        if max(self.smallest, self.low) <= size < self.high:
            self._told, self.high = size, size + 1
            self._losses[self.high] = _CERTAIN

    def _between(self) -> list[int]:
        if self.high == self._told + 1:
            return [self.high - 1]
        if not self._tried_common:
            self._tried_common = True
            common = [size for size in COMMON if self.low < size < self.high]
            if common:
                return common
        step = (self.high - self.low) / (_AT_ONCE + 1)
        return [self.low + 1, *(self.low + max(1, round(step * place)) for place in range(1, _AT_ONCE + 1))]
