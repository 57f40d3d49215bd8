"""Tests of recorded values that no alert tells enough of: what masks alerts during maintenance, and egress.

Knows how a test of queries is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from natobs.catalogue import naming, values
from natobs.catalogue.metrics import accounting, agent, network, operations, probes, routing
from natobs.catalogue.naming import GRACE, HOUR, MINUTE
from natobs.catalogue.promql import Rendering
from natobs.catalogue.types import Metric
from natobs.generate.proofs import expect, notation
from natobs.generate.proofs.cases import FAR, Place
from natobs.generate.scenarios.model import Clock, Signal, events, growing, level

Test = dict[str, object]
Written = Iterable[tuple[str, str]]
"""Series and their samples."""
FIVE, HALF_HOUR = 5 * MINUTE, 30 * MINUTE


def tests(rendering: Rendering) -> Iterator[tuple[int, Test]]:
    """Every test, and the seconds between its evaluations."""
    yield MINUTE, _egress(rendering)
    yield MINUTE, _kept(rendering)
    yield FIVE, _maintenance(rendering)
    yield HALF_HOUR, _reboot(rendering)


def test(name: str, step: int, series: Written, expected: list[Test], rendering: Rendering) -> Test:
    """A test of queries.

    Args:
        name: for a person.
        step: seconds between two samples.
        series: what is fed.
        expected: see :mod:`natobs.generate.proofs.expect`.
        rendering: as of the rules.
    """
    return {
        "name": name,
        "interval": rendering.duration(step),
        "input_series": [{"series": key, "values": text} for key, text in dict(series).items()],
        "promql_expr_test": expected,
    }


def placed(clock: Clock, place: Place, well: Sequence[Signal], broken: Sequence[Signal]) -> Iterator[tuple[str, str]]:
    """The series of a place, while all is well and while it is not."""
    for before, after in zip(well, broken, strict=True):
        yield _series(place, before), notation.samples(clock, before, after)


def _series(place: Place, signal: Signal) -> str:
    labels = place.labels(prober=signal.prober) | dict(signal.labels)
    return notation.named(signal.source.name + signal.part, labels)


def _egress(rendering: Rendering) -> Test:
    """Bytes that leave in an hour: what accounting has counted, else what the outside interface has sent."""
    clock = Clock(MINUTE, 0, 2 * HOUR, MINUTE, rendering.scale)
    here, other = Place(11, 21, 31), Place(11, 22, 32)
    again = {"instance": "nat-22-b:9650"}

    def bytes_of(metric: Metric, number: float, **labels: str) -> Signal:
        return events(metric, number, HOUR, **labels)

    sent = (
        bytes_of(network.TRANSMIT_BYTES, 600, device="eth21"),
        bytes_of(network.TRANSMIT_BYTES, 1200, device="eth22"),
        level(routing.DEVICE_ROLE, 1, device="eth21", role="outside"),
        level(routing.DEVICE_ROLE, 1, device="eth22", role="inside"),
    )
    accounted = (
        bytes_of(accounting.FORWARDED_BYTES, 1800, direction="out"),
        bytes_of(accounting.FORWARDED_BYTES, 2400, direction="in"),
        *sent,
    )
    swapped = (  # a second machine behind the same name, whose links are the other way round
        bytes_of(network.TRANSMIT_BYTES, 2400, device="eth21", **again),
        bytes_of(network.TRANSMIT_BYTES, 4800, device="eth22", **again),
        level(routing.DEVICE_ROLE, 1, device="eth21", role="inside", **again),
        level(routing.DEVICE_ROLE, 1, device="eth22", role="outside", **again),
    )
    both = (*sent, *swapped)
    alike = [level(routing.DEVICE_ROLE, 1, device="eth21", role="outside")]
    series = [
        *placed(clock, here, accounted, accounted),
        *placed(clock, other, both, both),
        *placed(clock, other._replace(cluster=12), alike, alike),
        *(
            (_series(other, replace(one, labels={**one.labels, "nat": "nat-99"})), f"1x{clock.samples}")
            for one in alike
        ),
    ]
    name = values.EGRESS.recorded.name
    left = ((here, 1800.0), (other, 600.0 + 4800.0))
    found = {notation.named(name, place.shown(values.EGRESS.scope)): number for place, number in left}
    return test("egress", MINUTE, series, [expect.samples(name, rendering.duration(2 * HOUR), found)], rendering)


_BUILD = {"version": "0.1.0", "python": "3.11.2"}
_AGENT = level(agent.BUILD, 1, **_BUILD)
_OWN, _SHARED = level(operations.MAINTENANCE_UNTIL, 0), level(operations.CLUSTER_MAINTENANCE_UNTIL, 0)


def _active(at: str, places: Sequence[Place]) -> Test:
    name = naming.MAINTENANCE.name
    series = (notation.named(name, place.shown(values.MAINTENANCE.scope)) for place in places)
    return expect.samples(name, at, dict.fromkeys(series, 1))


def _maintenance(rendering: Rendering) -> Test:
    """From the first sample to the very end of its ten minutes of grace, of a NAT, and of a cluster's with an agent."""
    begins, last, samples = 3 * FIVE, HOUR + 2 * FIVE, HOUR // FIVE + 4
    half, whole = (last + 30 - GRACE) / rendering.scale, (last + FIVE - GRACE) / rendering.scale
    declared = Place(12, 69, 79), Place(13, 69, 79)
    alone, others = Place(12, 41, 51), Place(11, 43, 53)
    masked = [Place(11, 21, 31), Place(11, 22, 32), Place(12, 21, 31), Place(13, 21, 31)]
    prober = Signal(agent.BUILD, _BUILD, prober=True)
    levels: Mapping[str, float] = {
        _series(masked[0], _OWN): half,
        _series(masked[1], _OWN): whole,
        _series(declared[0], _SHARED): half,
        _series(declared[1], _SHARED): whole,
        **{_series(place, _AGENT): 1 for place in (*masked[2:], others)},
        _series(alone, prober): 1,
    }
    expected = [
        _active(rendering.duration(begins - FIVE), []),
        _active(rendering.duration(begins), masked),
        _active(rendering.duration(last), masked),
        _active(rendering.duration(last + FIVE), []),
    ]
    before = begins // FIVE
    series = [(key, f"{notation.BLANK}x{before} {value!r}x{samples - before}") for key, value in levels.items()]
    return test("maintenance", FIVE, series, expected, rendering)


def _kept(rendering: Rendering) -> Test:
    """What is kept of a series that has ended without a mark: just under five minutes."""
    place, last, end = Place(11, 21, 31), 2 * MINUTE, 8 * MINUTE
    attempts = growing(probes.ATTEMPTS, 1, probe="web", kind="tcp", target="")
    fed = {values.AGENT_SEEN: _AGENT, values.PROBER_SEEN: attempts, values.DECLARED: _OWN}
    fed |= {values.CLUSTER_DECLARED: _SHARED}
    series = ((_series(place, one), f"1x{last // MINUTE} {notation.BLANK}x{end // MINUTE}") for one in fed.values())
    expected = [
        expect.samples(
            value.recorded.name,
            rendering.duration(last + later),
            {notation.named(value.recorded.name, place.shown(value.scope)): 1.0} if later < FIVE else {},
        )
        for value in fed
        for later in (FIVE - MINUTE, FIVE)
    ]
    return test("what is kept", MINUTE, series, expected, rendering)


def _reboot(rendering: Rendering) -> Test:
    """Whatever vanishes, the latest time stamp of a day counts."""
    samples = 25 * HOUR // HALF_HOUR + 1
    until = FAR / rendering.scale
    places = [Place(11, 21, 31), Place(12, 21, 31), Place(13, 21, 31)]
    stays, goes = f"x{samples}", "x1 stale"
    series = {
        _series(places[0], _OWN): f"{until!r}{goes}",
        _series(places[1], _SHARED): f"{until!r}{goes}",
        _series(places[1], _AGENT): f"1{stays}",
        _series(places[2], _SHARED): f"{until!r}{stays}",
        _series(places[2], _AGENT): f"1{goes}",
    }
    expected = [
        _active(rendering.duration(24 * HOUR + HALF_HOUR), places),
        _active(rendering.duration(25 * HOUR), []),
    ]
    return test("a reboot in maintenance", HALF_HOUR, series.items(), expected, rendering)
