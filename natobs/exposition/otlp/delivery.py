"""What is pushed, and how a push can end: the words that the parts of this package share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from natobs.catalogue.types import AnySample
from natobs.probes.model import Attempt

T = TypeVar("T")
Deliver = Callable[[T], str]
"""Pushes one thing; returns a complaint of the receiver, empty if there is none. Raises PushError."""


class PushError(Exception):
    """A push that failed; never leaves this package.

    Args:
        detail: one sentence without headers and values.
        retry: whether the same push may succeed later.
        pause: how long the receiver wants to be left alone, in seconds.
    """

    def __init__(self, detail: str, *, retry: bool, pause: float = 0.0) -> None:
        super().__init__(detail)
        self.retry = retry
        self.pause = pause


class Round(NamedTuple):
    """Samples of one time.

    Args:
        time: in seconds since the epoch.
        since: of the round before: older exemplars have been pushed.
        samples: what was found.
    """

    time: float
    since: float
    samples: Sequence[AnySample]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Makes what delivers each signal; see :class:`natobs.exposition.otlp.exporters.Exporters`.

    Args:
        metrics: makes what delivers a round.
        traces: makes what delivers a batch of attempts.
    """

    metrics: Callable[[], Deliver[Round]]
    traces: Callable[[], Deliver[Sequence[Attempt]]]
