"""A token bucket over all requests, for the ``rate_limit`` section of the web configuration.

Knows time and numbers. Knows neither requests nor who sends them.
"""

import re
import time
from collections.abc import Callable

from natobs.errors import WebConfigError

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: str | int) -> float:
    """Read a duration as Go writes it (``1s``, ``1m30s``, ``250ms``, ``0``), in seconds.

    Raises:
        WebConfigError: the value is none. A number without a unit would be nanoseconds to Go: refused.
    """
    text = str(value)
    if text == "0":
        return 0.0
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise WebConfigError(f"rate_limit.interval: {text!r} is not a duration such as 1s, 1m30s or 250ms")
    return sum(float(part[1]) * _SECONDS[part[2]] for part in parts)


class TokenBucket:
    """Holds up to ``burst`` tokens and gains one every ``interval`` seconds; an interval of 0 never runs dry."""

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> bool:
        """Take a token; False when there is none."""
        if not self._interval:
            return True
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) / self._interval)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
