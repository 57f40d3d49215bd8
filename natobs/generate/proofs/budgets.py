"""Tests of what error budgets are made of: counts, steps, hours, windows, budgets, and the day with an idle hour.

Expected numbers are those of :mod:`natobs.slo` no less than of the catalogue:
sums of events, one divided by the other.
"""

from collections.abc import Iterator, Sequence

from natobs.catalogue import naming
from natobs.catalogue.metrics import agent, operations, probes
from natobs.catalogue.naming import ERROR_RATIO, HOUR, MINUTE, WINDOWS
from natobs.catalogue.objectives import PERIOD_DAYS, Objective
from natobs.catalogue.promql import Recorded, Rendering
from natobs.generate import scenarios
from natobs.generate.proofs import expect, notation
from natobs.generate.proofs.cases import FAR, Place
from natobs.generate.proofs.recorded import Test, placed, test
from natobs.generate.rules.recording import SLICE_ALL, SLICE_BAD, identity
from natobs.generate.scenarios.model import Clock, Way, level, stamp
from natobs.generate.scenarios.objectives import SLICES, Counted, counted

FIVE = 5 * MINUTE
_HERE, _OTHER = Place(11, 21, 31), Place(11, 22, 32)
_EDGE, _IDLE = Place(11, 41, 51), Place(18, 21, 31)
_MAINTAINED = (
    (Place(11, 61, 71), operations.MAINTENANCE_UNTIL),
    (Place(12, 21, 31), operations.CLUSTER_MAINTENANCE_UNTIL),
)
_BUILD = level(agent.BUILD, 1, version="0.1.0", python="3.11.2")


def tests(objectives: Sequence[Objective], rendering: Rendering) -> Iterator[tuple[int, Test]]:
    """Every test, and the seconds between its evaluations."""
    for objective in objectives:
        yield MINUTE, _minutes(objective, rendering) if objective.slices else _events(objective, rendering)
    yield MINUTE, _constants(objectives, rendering)
    for step, windows, counts in (
        (MINUTE, ("5m", "30m", "1h"), (naming.BAD, naming.TOTAL)),
        (FIVE, ("2h", "6h", "1d"), (naming.BAD_STEP, naming.TOTAL_STEP)),
        (6 * HOUR, ("3d", "30d"), (naming.BAD_HOUR, naming.TOTAL_HOUR)),
    ):
        yield step, _windows(objectives[0], windows, counts, step, rendering)
    yield FIVE, _idle_hour(objectives[0], rendering)
    yield HOUR, _hours(objectives[0], rendering)


def _of(objective: Objective, place: Place, **more: str) -> dict[str, str]:
    return {**place.shown(objective.scope), **more, **identity(objective), naming.SLI: objective.sli}


def _asked(recorded: Recorded, objective: Objective) -> str:
    return notation.named(recorded.name, {naming.SLO_LABELS[0]: objective.id})


def _events(objective: Objective, rendering: Rendering) -> Test:
    """Counts of five minutes, and the ratio and burn rate of these."""
    what, clock = counted(objective), Clock(MINUTE, 0, 10 * MINUTE, MINUTE, rendering.scale)
    flat = [signal.flat for signal in what.signals]

    def series() -> Iterator[tuple[str, str]]:
        yield from _others(objective)
        yield from placed(clock, _HERE, what.signals, what.signals)
        yield from placed(clock, _IDLE, flat, flat)
        yield from placed(clock, _EDGE, what.better, what.better)
        for place, metric in _MAINTAINED:
            declared = [*what.signals, _BUILD, stamp(metric, FAR)]
            yield from placed(clock, place, declared, declared)

    return test(objective.id, MINUTE, series(), list(_counts(objective, what, rendering)), rendering)


def _others(objective: Objective) -> Iterator[tuple[str, str]]:
    """Budgets of objectives that are like this one but for one label, as Sloth may have recorded them."""
    for label in naming.SLO_LABELS:
        labels = {**identity(objective), label: "other"}
        yield notation.named(naming.ERROR_BUDGET.name, labels), "0.5x400"


def _counts(objective: Objective, what: Counted, rendering: Rendering) -> Iterator[Test]:
    at = rendering.duration(10 * MINUTE)
    ratio = what.bad / what.total
    better = sum(signal.events for signal in what.better[:1])
    window = {"sloth_window": "5m"}
    for recorded, here, edge, idle, more in (
        (naming.BAD, what.bad, 0, 0, {}),
        (naming.TOTAL, what.total, better, 0, {}),
        (ERROR_RATIO["5m"], ratio, 0, None, window),
        (naming.CURRENT_BURN, ratio / objective.budget, 0, None, window),
    ):
        found = [(_HERE, here), *([(_EDGE, edge)] if better else []), *([] if idle is None else [(_IDLE, idle)])]
        series = {
            notation.named(recorded.name, _of(objective, place, **what.shows, **more)): value for place, value in found
        }
        yield expect.samples(_asked(recorded, objective), at, series)


def _minutes(objective: Objective, rendering: Rendering) -> Test:
    """Minutes of five that are bad, while a value rises above its limit and falls again."""
    sliced = SLICES[objective.id]
    scenario = scenarios.ALL[sliced.alert]
    first = next(iter(scenario.ways.values()))
    way = first if isinstance(first, Way) else Way(first)
    clock = Clock(MINUTE, 6 * MINUTE, 7 * MINUTE, 12 * MINUTE, rendering.scale)
    well, rest = way.feed(scenario.rest or 0), scenario.rest or 0
    fed = [sliced.above if clock.begins <= index < clock.ends else rest for index in range(clock.samples)]
    bad = [value is not None and value > sliced.below for value in scenario.shape(fed, clock)]

    def series() -> Iterator[tuple[str, str]]:
        yield from placed(clock, _HERE, well, way.feed(sliced.above))
        yield from placed(clock, _EDGE, well, way.feed(sliced.below))
        for place, metric in _MAINTAINED:
            declared = [_BUILD, stamp(metric, FAR)]
            yield from placed(clock, place, [*well, *declared], [*way.feed(sliced.above), *declared])

    def expected() -> Iterator[Test]:
        for index in range(clock.begins, clock.samples, 2):
            at = rendering.duration(index * MINUTE)
            number = sum(bad[index - 4 : index + 1])
            for recorded, here, edge in (
                (naming.BAD, number, 0),
                (naming.TOTAL, 5, 5),
                (SLICE_BAD, int(bad[index]), 0),
                (SLICE_ALL, 1, 1),
            ):
                found = ((_HERE, here), (_EDGE, edge))
                labelled = {notation.named(recorded.name, _of(objective, place)): value for place, value in found}
                yield expect.samples(_asked(recorded, objective), at, labelled)

    return test(objective.id, MINUTE, series(), list(expected()), rendering)


def _constants(objectives: Sequence[Objective], rendering: Rendering) -> Test:
    """What every objective is."""

    def expected() -> Iterator[Test]:
        for recorded, value in (
            (naming.OBJECTIVE, lambda one: one.target),
            (naming.ERROR_BUDGET, lambda one: one.budget),
            (naming.PERIOD_DAYS, lambda _one: PERIOD_DAYS),
        ):
            found = {notation.named(recorded.name, identity(one)): value(one) for one in objectives}
            yield expect.samples(recorded.name, "0s", found)
        yield expect.samples(
            naming.SLO_INFO.name,
            "0s",
            {
                notation.named(
                    naming.SLO_INFO.name,
                    {
                        **identity(one),
                        naming.SLI: one.sli,
                        "objective": f"{one.target:.12g}",
                        "title": one.title,
                    },
                ): 1
                for one in objectives
            },
        )

    return test("what the objectives are", MINUTE, iter(()), list(expected()), rendering)


def _windows(
    objective: Objective,
    windows: Sequence[str],
    counts: tuple[Recorded, Recorded],
    step: int,
    rendering: Rendering,
) -> Test:
    """Bad events count until the window has passed them by, and not a step longer; without events there is no ratio."""
    bad, every = counts
    longest = WINDOWS[windows[-1]] // step + 2
    here, few, none = (_of(objective, place) for place in (_HERE, _OTHER, _IDLE))
    series = {
        notation.named(bad.name, here): f"12 0x{longest}",
        notation.named(every.name, here): f"100x{longest}",
        notation.named(bad.name, few): f"0.3 0x{longest}",
        notation.named(every.name, few): f"0.9 0x{longest}",
        notation.named(bad.name, none): f"0x{longest}",
        notation.named(every.name, none): f"0x{longest}",
    }

    def expected() -> Iterator[Test]:
        for window in windows:
            recorded, more = ERROR_RATIO[window], {"sloth_window": window}
            length = WINDOWS[window] // step if WINDOWS[window] > FIVE or step > MINUTE else 0
            for index in (length, length + 1):
                inside = index == length
                ratios = [(here, 12 / (100 * (length + 1)) if inside else 0), *([(few, 0.3 / 0.9)] if inside else [])]
                found = {notation.named(recorded.name, labels | more): ratio for labels, ratio in ratios}
                yield expect.samples(recorded.name, rendering.duration(index * step), found)

    return test(f"windows of {', '.join(windows)}", step, iter(series.items()), list(expected()), rendering)


def _hours(objective: Objective, rendering: Rendering) -> Test:
    """Twelve steps are an hour, and the next hour is made of others."""
    labels, other = _of(objective, _HERE), _of(objective, _OTHER)
    hours = 3
    series = {
        notation.named(naming.BAD_STEP.name, labels): f"1+1x{12 * hours}",
        notation.named(naming.TOTAL_STEP.name, labels): f"100+100x{12 * hours}",
        notation.named(naming.BAD_STEP.name, other): f"0x{12 * hours}",
    }

    def expected() -> Iterator[Test]:
        for hour in range(1, hours + 1):
            summed = sum(range(12 * hour - 10, 12 * hour + 2))
            at = rendering.duration(hour * HOUR)
            bad = {notation.named(naming.BAD_HOUR.name, labels): summed, notation.named(naming.BAD_HOUR.name, other): 0}
            yield expect.samples(naming.BAD_HOUR.name, at, bad)
            total = {notation.named(naming.TOTAL_HOUR.name, labels): 100 * summed}
            yield expect.samples(naming.TOTAL_HOUR.name, at, total)

    return test("hours", FIVE, iter(series.items()), list(expected()), rendering)


def _idle_hour(objective: Objective, rendering: Rendering) -> Test:
    """A day of 23 hours without errors, a busy one with 5 %, and an idle one: 4.05 % by events.

    An average of the hours' ratios would say 0.21 %, and nothing at all once an
    idle hour's 0 / 0 is in it.
    """
    clean, busy = 1900, 186_300
    failed = busy // 20
    labels = {"probe": "web", "kind": "tcp", "target": ""}
    here = _HERE.labels(prober=True) | labels
    before, end = 23 * 12, 25 * 12
    series = {
        notation.named(metric.name, here): f"0+{clean}x{before} {before * clean + burst}+{burst}x11 "
        f"{before * clean + 12 * burst}x11"
        for metric, burst in ((probes.ATTEMPTS, busy), (probes.FIRST_ATTEMPT_SUCCESS, busy - failed))
    }
    series |= dict(_others(objective))
    share = 12 * failed / (12 * busy + before * clean)
    burn = share / objective.budget

    def found(recorded: Recorded, value: float, window: str = "30d") -> dict[str, float]:
        of = _of(objective, _HERE) | {"sloth_window": window}
        return {notation.named(recorded.name, of): value}

    at, during = rendering.duration(end * FIVE), rendering.duration((before + 6) * FIVE)
    expected = [
        expect.samples(_asked(ERROR_RATIO["30d"], objective), at, found(ERROR_RATIO["30d"], share)),
        expect.samples(_asked(naming.PERIOD_BURN, objective), at, found(naming.PERIOD_BURN, burn)),
        expect.samples(_asked(naming.BUDGET_REMAINING, objective), at, found(naming.BUDGET_REMAINING, 1 - burn)),
        expect.samples(_asked(ERROR_RATIO["5m"], objective), at, {}),
        expect.samples(_asked(ERROR_RATIO["5m"], objective), during, found(ERROR_RATIO["5m"], 0.05, "5m")),
        expect.samples(
            _asked(naming.TOTAL_STEP, objective),
            during,
            {notation.named(naming.TOTAL_STEP.name, _of(objective, _HERE)): busy},
        ),
        expect.samples(
            _asked(naming.BAD_STEP, objective),
            during,
            {notation.named(naming.BAD_STEP.name, _of(objective, _HERE)): failed},
        ),
        *(expect.samples(f"{one.name} != {one.name}", at, {}) for one in (*ERROR_RATIO.values(), naming.PERIOD_BURN)),
    ]
    assert f"{share:.4%}" == "4.0500%"
    return test("a day with an idle hour", FIVE, iter(series.items()), expected, rendering)
