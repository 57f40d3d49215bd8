"""Scrapes of simulated NATs, from one that was recorded: same series, values of their own that move plausibly.

Each NAT has its own share of the recorded traffic, and one clock for all its
counters, that runs faster and slower but never backwards: so buckets stay below
one another, answers below attempts, and no counter falls. Gauges wander. One NAT
in twenty is worse: a part of its successes is missing, and counters that were
nought in the recording move. Pure: the same NAT at the same time says the same.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WHERE = Path(__file__).parent / "fleet_scrape"
KINDS = ("agent", "prober")
RECORDED_SECONDS = 150.0
"""How long the counters of the recording had been counting."""
WORSE = 20
"""One NAT in so many is worse."""

_SAMPLE = re.compile(r"([a-z_0-9]+)(\{.*\})? (\S+)")
_GOOD = re.compile(r"_(success|answered)_total$")
_MISSING = 0.004
_TROUBLE_PER_SECOND = 0.02
_SWING_SECONDS, _SWING = 240.0, 30.0  # the clock of counters is ahead or behind by at most 30 s: it never stands still
_WANDER_SECONDS, _WANDER = 410.0, 0.15


class Line(NamedTuple):
    """One series of the recording.

    Args:
        name: of the metric, with its suffix.
        labels: in braces, or empty.
        value: as recorded.
        counts: whether it only ever grows.
    """

    name: str
    labels: str
    value: float
    counts: bool

    @property
    def form(self) -> str:
        """How its values are written, for the operator ``%``."""
        whole = self.value.is_integer() and (self.counts or self.value > 1) and not self.name.endswith("_sum")
        return "%d" if whole else "%.9g"


@dataclass(frozen=True)
class Scrape:
    """A recorded scrape.

    Args:
        lines: its series.
        types: its lines of types, by the series that they stand before.
    """

    lines: tuple[Line, ...]
    types: dict[int, str]

    @classmethod
    def parse(cls, text: str) -> "Scrape":
        """Read the text format; raises ValueError for what is none."""
        lines: list[Line] = []
        types: dict[int, str] = {}
        grows: dict[str, bool] = {}
        for text_line in text.splitlines():
            if text_line.startswith("# TYPE "):
                _hash, _type, name, kind = text_line.split()
                types[len(lines)] = text_line
                grows[name] = kind in {"counter", "histogram"}
            elif text_line and not text_line.startswith("#"):
                match = _SAMPLE.fullmatch(text_line)
                if match is None:
                    raise ValueError(f"no sample: {text_line}")
                family = re.sub(r"_(bucket|sum|count)$", "", match[1])
                counts = grows.get(match[1], grows.get(family, False))
                lines.append(Line(match[1], match[2] or "", float(match[3]), counts))
        return cls(tuple(lines), types)

    @classmethod
    def recorded(cls, kind: str) -> "Scrape":
        """Read the recording of an agent or a prober."""
        return cls.parse((WHERE / f"{kind}.prom").read_text("utf-8"))

    def only(self, names: Collection[str]) -> "Scrape":
        """Give the series of some metrics alone."""
        return Scrape(tuple(line for line in self.lines if line.name in names), {})

    @cached_property
    def template(self) -> str:
        """The text with ``%d`` or ``%.9g`` in place of each value."""
        parts = []
        for number, line in enumerate(self.lines):
            if number in self.types:
                parts.append(self.types[number])
            parts.append(f"{line.name}{line.labels}".replace("%", "%%") + f" {line.form}")
        return "\n".join((*parts, ""))


class Simulated:
    """One NAT, or its prober.

    Args:
        scrape: what it is like.
        number: which one, from 0.
    """

    def __init__(self, scrape: Scrape, number: int) -> None:
        self._scrape = scrape
        self.worse = number % WORSE == WORSE - 1
        self._phase = number * 2.399963  # the golden angle: neighbours are far apart
        share = 0.5 + 1.5 * ((number * 0.618034) % 1)
        moves = [self._move(line, share, place) for place, line in enumerate(scrape.lines)]
        self._begin, self._growth, self._wide = np.array(moves).T

    def _move(self, line: Line, share: float, place: int) -> tuple[float, float, float]:
        """A value's beginning, its growth a second of the counters' clock, and how far it wanders."""
        if line.counts:
            growth = line.value / RECORDED_SECONDS * share
            if self.worse and _GOOD.search(line.name):
                growth *= 1 - _MISSING
            if self.worse and line.value == 0 and line.name.endswith("_total"):
                growth = _TROUBLE_PER_SECOND
            return line.value, growth, 0.0
        if line.value <= 1 or line.name.endswith(("_seconds", "_info", "_limit", "_bytes", "_size")):
            return line.value, 0.0, 0.0
        return line.value * share, 0.0, _WANDER * line.value * math.sin(place)

    def history(self, seconds: "np.ndarray[Any, np.dtype[np.float64]]") -> list[list[float]]:
        """Give the values of each series at all these times after the simulation's beginning."""
        clock = seconds + _SWING * (np.sin(seconds / _SWING_SECONDS + self._phase) - math.sin(self._phase))
        wander = np.sin(seconds / _WANDER_SECONDS + self._phase)
        moved = self._begin[:, None] + np.outer(self._growth, clock) + np.outer(self._wide, wander)
        found: list[list[float]] = moved.tolist()
        return found

    def text(self, seconds: float) -> str:
        """Give the scrape so long after the simulation's beginning."""
        return self._scrape.template % tuple(one for (one,) in self.history(np.array([seconds])))


def cluster_of(number: int) -> str:
    """Give the cluster of a NAT: four make one."""
    return f"fleet-{number // 4:03d}"


def labels_of(kind: str, number: int) -> dict[str, str]:
    """Give the labels that the scrape configuration adds for an agent or a prober."""
    labels = {"nat_cluster": cluster_of(number), "nat": f"nat{number:04d}", "instance": f"{kind}{number:04d}"}
    return labels if kind == "agent" else {**labels, "subnet": "private1"}
