"""What a scenario is: how an alert's value is brought about by the series of agents and probers.

Knows series and how they move while all is well and while it is not. Knows no
alert by name, no threshold and no notation: thresholds come from the catalogue,
so that a scenario stays right when they change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from natobs.catalogue.metrics import probes
from natobs.catalogue.promql import Recorded, Source
from natobs.catalogue.types import Kind, Metric, metrics_of

_OF_PROBERS = frozenset(metrics_of(probes))


class Clock(NamedTuple):
    """Time in a test, in seconds before scaling.

    Args:
        step: between two samples, and between two evaluations.
        lead: all is well for so long at first.
        length: then it is not, for so long.
        tail: and then it is well again.
        scale: all durations are divided by it.
    """

    step: int
    lead: int
    length: int
    tail: int
    scale: float = 1.0

    @property
    def begins(self) -> int:
        """Number of the first sample with the fault."""
        return self.lead // self.step

    @property
    def ends(self) -> int:
        """Number of the first sample without it."""
        return (self.lead + self.length) // self.step

    @property
    def samples(self) -> int:
        """How many there are in all."""
        return (self.lead + self.length + self.tail) // self.step + 1


@dataclass(frozen=True, slots=True)
class Signal:
    """One series, and how it moves in one state of the world.

    Args:
        source: whose series.
        labels: its own; in a value ``{n}`` becomes the number of the case, ``{subnet}`` that of its subnet. A target
            label stands above the place's.
        part: of a histogram.
        prober: whether a prober exports it, which has a subnet; agents have none.
        level: value of a gauge; where a counter starts.
        growth: increase a second of a counter.
        events: increase within ``window`` seconds of a counter, or of a gauge that grows, however much time is scaled.
        window: of ``events``.
        burst: increase at the first sample of a state.
        stamp: whether the level is a time.
        carries: whether a gauge carries on from where it is when the state of the world changes, as counters do.
    """

    source: Source
    labels: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    prober: bool = False
    level: float = 0.0
    growth: float = 0.0
    events: float = 0.0
    window: int = 1
    burst: float = 0.0
    stamp: bool = False
    carries: bool = False

    @property
    def accumulates(self) -> bool:
        """Whether its value carries on when the state of the world changes."""
        if isinstance(self.source, Recorded):
            return self.source.counter
        return self.carries or self.source.kind in {Kind.COUNTER, Kind.HISTOGRAM}

    @property
    def flat(self) -> "Signal":
        """The same without any traffic."""
        return replace(self, growth=0.0, events=0.0, burst=0.0)

    def increment(self, clock: Clock) -> float:
        """From one sample to the next."""
        return self.growth * clock.step / clock.scale + self.events * clock.step / self.window


Feed = Callable[[float], Sequence[Signal]]
"""The series that bring a value about."""
Values = Sequence[float | None]
"""A value at each sample, None where there is none."""
Shape = Callable[[Values, Clock], Values]
"""What an alert sees of a value that is fed: windows delay, widen and smooth it."""


def _signal(source: Source, labels: Mapping[str, str], **more: float | str | bool) -> Signal:
    prober = isinstance(source, Metric) and source in _OF_PROBERS
    return Signal(source, labels, prober=prober, **more)  # type: ignore[arg-type]  # each by its own name


def level(source: Source, value: float, /, **labels: str) -> Signal:
    """A gauge at a value."""
    return _signal(source, labels, level=value)


def stamp(source: Source, seconds: float, /, **labels: str) -> Signal:
    """A gauge that tells a time, in seconds since the beginning of the test."""
    return _signal(source, labels, level=seconds, stamp=True)


def growing(source: Source, per_second: float, /, **labels: str) -> Signal:
    """A counter that grows so much a second."""
    return _signal(source, labels, growth=per_second)


def events(source: Source, number: float, window: int, /, **labels: str) -> Signal:
    """A counter with so many events within a window."""
    return _signal(source, labels, events=number, window=window)


def burst(source: Source, number: float, /, **labels: str) -> Signal:
    """A counter with so many events at once, when the fault begins."""
    return _signal(source, labels, burst=number)


def prober(signal: Signal) -> Signal:
    """The same series, exported by a prober."""
    return replace(signal, prober=True)


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a condition comes about.

    Args:
        feed: the series for a value.
        shape: what the alert sees, where it is not what it sees of the others.
    """

    feed: Feed
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """How an alert is tested.

    Args:
        alert: its name.
        shape: what it sees of a value that is fed.
        ways: by name: each must fire above the threshold. The first is also fed with the threshold itself.
        guards: by name: must not fire, although the value is above every threshold.
        apart: those of the guards that cannot share their NAT with a case that fires.
        rest: the value while all is well; None where the series are not there at all.
        bad: the value that is fed instead of one just above the threshold, by severity.
        good: the value that is fed instead of the threshold itself, or just below it, by severity.
        exact: whether the arithmetic of Prometheus comes to the very threshold; rates divide by seconds, and need not.
        shows: labels of the alert beyond those of its scope, or instead of them.
        reach: the longest window, in seconds.
        lasts: how long the fault lasts; None is as long as it takes to fire.
        step: between samples, in seconds.
        maintained: whether maintenance is tried on it in the usual way.
        idles: whether a NAT without traffic is silent.
        vanishes: whether series end with a mark when their state has none, as when a target is not scraped any more.
    """

    alert: str
    shape: Shape
    ways: Mapping[str, Way | Feed]
    guards: Mapping[str, Feed] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    rest: float | None = 0.0
    bad: Mapping[str, float] = field(default_factory=dict)
    good: Mapping[str, float] = field(default_factory=dict)
    exact: bool = True
    shows: Mapping[str, str] = field(default_factory=dict)
    reach: int = 300
    lasts: int | None = None
    step: int = 30
    maintained: bool = True
    idles: bool = True
