"""What a fault of natobs itself is: what is done to it, what says so, and how it turned out.

Knows the form; a subclass says what happens in :meth:`SelfFault.act`, which also
takes it away again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from natobs.lab.selffaults.memory import Resident
from natobs.lab.selffaults.scene import Scene


@dataclass(frozen=True)
class Report:
    """What tells that something was lost or done, or that nothing was.

    Args:
        words: what it tells, for a person.
        expression: of PromQL, with ``$window``; the sum of what it gives is the number told.
        least: the number must be this at least; 0 where it may happen and need not.
        most: and this at most.
    """

    words: str
    expression: str
    least: float = 1.0
    most: float = float("inf")


class SelfFault(ABC):
    """One thing that befalls natobs. Classes are made without arguments."""

    name: ClassVar[str]
    """As on a command line."""
    title: ClassVar[str]
    """In a few words."""
    sentence: ClassVar[str]
    """What is done, for a person."""
    lost: ClassVar[str]
    """What natobs cannot know afterwards, in a few words."""
    reports: ClassVar[tuple[Report, ...]]
    """What says so."""
    programs: ClassVar[tuple[str, ...]] = ()
    """What it needs beyond what a stack needs."""
    quick: ClassVar[bool] = False
    """Whether it is among those that stand for all of its kind in a short run."""
    peak_megabytes: ClassVar[float] = 32.0
    """By how much a process of natobs may grow meanwhile."""
    rest_megabytes: ClassVar[float] = 16.0
    """By how much it may have grown when all is over."""

    @abstractmethod
    def act(self, scene: Scene) -> list[str]:
        """Do it, take it away again, and give what was wrong meanwhile, normally nothing.

        Raises:
            LabError: the lab does not let it happen, or a part of the stack ended.
        """


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a fault turned out.

    Args:
        fault: its name.
        title: in a few words.
        seconds: that it took, until all had been well again for some scrapes.
        lost: what natobs cannot know.
        said: what it, or Prometheus, says of it, a sentence each.
        restarts: processes of natobs that were started anew.
        resets: counters that began anew with them.
        memory: of each process of natobs.
        problems: what must not be, a sentence each.
    """

    fault: str
    title: str
    seconds: float
    lost: str
    said: tuple[str, ...]
    restarts: int
    resets: int
    memory: Mapping[str, Resident]
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems
