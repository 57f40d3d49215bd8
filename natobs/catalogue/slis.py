"""The service level indicators M1 to M10 of a NAT, and the metrics that each is computed from.

Knows what is measured and what is still missing; objectives and alerts are defined elsewhere.
"""

from dataclasses import dataclass

from natobs.catalogue.metrics import conntrack
from natobs.catalogue.types import Metric
from natobs.errors import CatalogueError


@dataclass(frozen=True, slots=True)
class Sli:
    """One indicator.

    Args:
        id: ``M1`` to ``M10``.
        title: what an engineer calls it.
        question: what a good value answers.
        target: the value to start with, in words.
        inputs: the metrics of this machine that it is computed from.
        ratio: numerator and denominator where the two latest values alone give the indicator.
        missing: what else it takes, where the inputs do not suffice.
    """

    id: str
    title: str
    question: str
    target: str
    inputs: tuple[Metric, ...] = ()
    ratio: tuple[Metric, Metric] | None = None
    missing: str = ""

    def __post_init__(self) -> None:
        if not self.inputs and not self.missing:
            raise CatalogueError(f"SLI {self.id}: neither inputs nor a word on what is missing")
        if self.ratio and not set(self.ratio) <= set(self.inputs):
            raise CatalogueError(f"SLI {self.id}: its ratio is of metrics that are no inputs")


ALL: tuple[Sli, ...] = (
    Sli(
        "M2",
        "Translation table",
        "How full is the connection tracking table?",
        "below 70 %",
        inputs=(conntrack.ENTRIES, conntrack.LIMIT, conntrack.EARLY_DROP),
        ratio=(conntrack.ENTRIES, conntrack.LIMIT),
    ),
)
