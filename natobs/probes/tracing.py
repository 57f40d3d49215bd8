"""Which attempts are traced, and the identity of their spans.

Pure: every failure, and of each so many successes one. Knows attempts; refuses
to know where spans go.
"""

import random
from collections.abc import Callable

from msgspec.structs import replace

from natobs.probes.model import Attempt, Trace

Sink = Callable[[Attempt], None]
"""Takes an attempt that is traced; quick, and never blocks."""

_TRACE_BYTES = 16
_SPAN_BYTES = 8


class Tracing:
    """Decides when an attempt has ended, so that histograms and spans agree on it.

    The success is taken at a random place among each so many: always the same place would be always the same target
    where targets take turns.

    Args:
        successes_per_span: one success of so many is traced.
        sink: gets the attempts that are traced.
        chance: where identities and places come from; tests bring their own.
    """

    def __init__(self, successes_per_span: int, sink: Sink, chance: random.Random | None = None) -> None:
        self._successes_per_span = successes_per_span
        self._sink = sink
        self._chance = chance or random.Random()  # noqa: S311 - identities need to be unique, not secret
        self._place = -1
        self._chosen = 0

    def __call__(self, attempt: Attempt) -> Attempt:
        """The attempt as it is to be counted: with its trace, if it is traced, which the sink has got then."""
        if attempt.outcome.success and not self._choose():
            return attempt
        traced = replace(attempt, trace=Trace(self._identity(_TRACE_BYTES), self._identity(_SPAN_BYTES)))
        self._sink(traced)
        return traced

    def _choose(self) -> bool:
        self._place = (self._place + 1) % self._successes_per_span
        if not self._place:
            self._chosen = self._chance.randrange(self._successes_per_span)
        return self._place == self._chosen

    def _identity(self, size: int) -> bytes:
        identity = self._chance.randbytes(size)
        return identity if any(identity) else self._identity(size)  # all zeros is no identity (W3C Trace Context)
