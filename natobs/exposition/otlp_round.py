"""What is pushed as metrics: samples, and when they were taken."""

from collections.abc import Sequence
from typing import NamedTuple

from natobs.catalogue.types import AnySample


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
