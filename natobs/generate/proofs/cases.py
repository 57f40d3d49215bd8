"""The cases of a scenario: NATs that differ in one thing each, side by side in one test.

Knows which NAT has which name and why: a mask or a join that ignores a label
meets a NAT that is like another but for this label. Knows no alert by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from natobs.catalogue.alerting import Alert, Level
from natobs.catalogue.metrics import agent, operations
from natobs.catalogue.promql import Scope
from natobs.generate.scenarios.model import Feed, Scenario, Shape, Signal, Way, level, stamp

FAR = 10_000_000
"""Seconds: after the end of every test."""
_BEYOND, _SHORT = 1.02, 0.98


class Place(NamedTuple):
    """Where a case is: target labels."""

    cluster: int
    nat: int
    subnet: int

    def labels(self, *, prober: bool) -> dict[str, str]:
        """What the scrape configuration adds to series of a prober, or of an agent."""
        here = {"nat_cluster": f"egress-{self.cluster}", "nat": f"nat-{self.nat}"}
        if prober:
            return here | {"subnet": f"subnet-{self.subnet}", "instance": f"prober-{self.subnet}:9651"}
        return here | {"instance": f"nat-{self.nat}:9650"}

    def shown(self, scope: Scope) -> dict[str, str]:
        """The labels of an alert of this scope."""
        here = self.labels(prober=True)
        return {label: here[label] for label in scope.value}


@dataclass(frozen=True, slots=True)
class Case:
    """One NAT, or cluster, of a test.

    Args:
        name: what it shows.
        number: distinguishes what would otherwise be equal.
        place: its target labels.
        well: series while all is well.
        broken: series with the fault.
        value: that is fed with the fault.
        shape: what the alert sees of it; None where it must stay silent.
    """

    name: str
    number: int
    place: Place
    well: Sequence[Signal]
    broken: Sequence[Signal]
    value: float
    shape: Shape | None

    def numbered(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Labels with the number of the case filled in."""
        numbers = {"{n}": self.number, "{subnet}": self.place.subnet}
        return {key: _filled(value, numbers) for key, value in labels.items()}


def _filled(text: str, numbers: Mapping[str, int]) -> str:
    for place, number in numbers.items():
        text = text.replace(place, str(number))
    return text


def beyond(alert: Alert, one: Level, scenario: Scenario) -> float:
    """A value for which this severity must fire: the threshold itself where it belongs to it, else just above."""
    if (given := scenario.bad.get(one.severity.value)) is not None:
        return given
    if alert.unit == "state":
        return 0.0 if alert.compare == "<" else one.threshold
    if alert.compare in {">=", "<="}:
        return one.threshold
    return one.threshold * (_BEYOND if alert.compare == ">" else _SHORT) or 1.0


def edge(alert: Alert, one: Level, scenario: Scenario) -> float:
    """A value for which this severity must not fire yet."""
    if (given := scenario.good.get(one.severity.value)) is not None:
        return given
    if alert.unit == "state":
        return 1.0 if alert.compare == "<" else 0.0
    if alert.compare == "<=":
        return one.threshold * _BEYOND or 0.02
    if alert.compare == ">=" or not scenario.exact:
        return one.threshold * (_BEYOND if alert.compare == "<" else _SHORT)
    return one.threshold


def cases(alert: Alert, scenario: Scenario) -> list[Case]:
    """Every case of a scenario."""
    made: list[Case] = []
    for name, place, feed, value, shape, more in _plans(alert, scenario):
        number = len(made) + 1
        if alert.scope is Scope.CLUSTER:
            place = Place(20 + number, place.nat, place.subnet)  # noqa: PLW2901  it is the cluster that differs
        well = [] if scenario.rest is None else list(feed(scenario.rest))
        both = list(more) if _has_build([*well, *feed(value)]) else [_BUILD, *more]
        made.append(Case(name, number, place, [*well, *both], [*feed(value), *both], value, shape))
    if scenario.idles and scenario.rest is not None:
        flat = [signal.flat for signal in (*_first(scenario).feed(scenario.rest), _BUILD)]
        made.append(Case("idle", len(made) + 1, Place(18, 21, 31), flat, flat, scenario.rest, None))
    made.append(Case("no data", len(made) + 1, Place(19, 21, 31), [_BUILD], [_BUILD], 0, None))
    return made


_BUILD = level(agent.BUILD, 1, version="0.1.0", python="3.11.2")
_Planned = tuple[str, Place, Feed, float, Shape | None, Sequence[Signal]]


def _plans(alert: Alert, scenario: Scenario) -> Iterator[_Planned]:
    first = _first(scenario)
    worst = beyond(alert, alert.levels[-1], scenario)
    number = 20
    for one in alert.levels:
        for name, way in _ways(scenario).items():
            number += 1
            what, seen = f"{one.severity.value}, {name}", way.shape or scenario.shape
            yield what, Place(11, number, number + 10), way.feed, beyond(alert, one, scenario), seen, ()
    for index, one in enumerate(alert.levels):
        value = edge(alert, one, scenario)
        yield f"just not {one.severity.value}", Place(11, 41 + index, 51 + index), first.feed, value, scenario.shape, ()
    if scenario.maintained:
        shape = None if alert.masked else scenario.shape
        yield "maintenance", Place(11, 61, 71), first.feed, worst, shape, [stamp(operations.MAINTENANCE_UNTIL, FAR)]
        if alert.scope is not Scope.CLUSTER:
            declared = [stamp(operations.CLUSTER_MAINTENANCE_UNTIL, FAR, nat="nat-69", instance="nat-69:9650")]
            for index in range(len(alert.levels)):  # each beside a NAT of that name for which this severity fires
                like = 21 + index * len(scenario.ways)
                yield "maintenance of the cluster", Place(12, like, like + 10), first.feed, worst, shape, declared
    for index, (name, feed) in enumerate(scenario.guards.items()):
        places = [Place(11, 71 + index, 31), Place(13 + index, 21, 31)]
        if alert.scope is Scope.SUBNET and name not in scenario.apart:
            places.append(Place(11, 21, 91 + index))
        for place in places:
            yield name, place, feed, worst, None, ()


def _ways(scenario: Scenario) -> Mapping[str, Way]:
    return {name: way if isinstance(way, Way) else Way(way) for name, way in scenario.ways.items()}


def _first(scenario: Scenario) -> Way:
    return next(iter(_ways(scenario).values()))


def _has_build(signals: Sequence[Signal]) -> bool:
    return any(signal.source is agent.BUILD and not signal.prober for signal in signals)
