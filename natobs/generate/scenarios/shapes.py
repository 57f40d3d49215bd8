"""What windows make of a value: the Python counterpart of PromQL's functions over time, on the grid of the samples.

Knows windows alone. Written for itself, so that a rule is held against something
else than Prometheus' own idea of it.

Prometheus 2 counts the samples at both ends of a window: of gauges five minutes
in steps of thirty seconds hold eleven. Of a counter they hold ten increments.
"""

from collections.abc import Callable

from natobs.generate.scenarios.model import Clock, Shape, Values


def now() -> Shape:
    """The value itself."""
    return lambda values, _clock: values


def _windowed(window: int, of: Callable[[list[float]], float | None], *, both_ends: bool) -> Shape:
    def shape(values: Values, clock: Clock) -> Values:
        size = window // clock.step + both_ends
        reached = [values[max(0, index + 1 - size) : index + 1] for index in range(len(values))]
        present = [[value for value in part if value is not None] for part in reached]
        return [of(part) if part else None for part in present]

    return shape


def highest(window: int) -> Shape:
    """``max_over_time``."""
    return _windowed(window, max, both_ends=True)


def lowest(window: int) -> Shape:
    """``min_over_time``."""
    return _windowed(window, min, both_ends=True)


def mean(window: int) -> Shape:
    """``increase`` or ``rate`` of counters: the average of what is fed."""
    return _windowed(window, lambda part: sum(part) / len(part), both_ends=False)


def touched(window: int) -> Shape:
    """A share of counters that is at a limit, and beyond it with the first increment that is."""
    return _windowed(window, max, both_ends=False)


def once(window: int) -> Shape:
    """``increase`` of what happened all at once, when the fault began."""

    def shape(values: Values, clock: Clock) -> Values:
        happened = values[clock.begins]
        within = range(clock.begins, clock.begins + window // clock.step)
        return [happened if index in within else 0.0 for index in range(len(values))]

    return shape


def lasting(window: int) -> Shape:
    """What is remembered for a window after it has gone."""

    def shape(values: Values, clock: Clock) -> Values:
        last = clock.begins + window // clock.step
        return [value if clock.begins <= index < last else None for index, value in enumerate(values)]

    return shape


def later(window: int) -> Shape:
    """What something hides for a window after the fault began."""

    def shape(values: Values, clock: Clock) -> Values:
        first = clock.begins + window // clock.step
        return [value if index >= first else None for index, value in enumerate(values)]

    return shape


def both(one: Shape, other: Shape) -> Shape:
    """The one value, wherever there is the other one too."""

    def shape(values: Values, clock: Clock) -> Values:
        seen = zip(one(values, clock), other(values, clock), strict=True)
        return [None if there is None else value for value, there in seen]

    return shape


def through(inner: Shape, there: Callable[[float], float], back: Callable[[float], float]) -> Shape:
    """A shape of something that the value is a function of."""

    def shape(values: Values, clock: Clock) -> Values:
        inside = inner([None if value is None else there(value) for value in values], clock)
        return [None if value is None else back(value) for value in inside]

    return shape


def since(start: Callable[[float], float], unit: float) -> Shape:
    """Time since a time stamp that a value stands for, in units of so many seconds; before the fault a long time."""

    def shape(values: Values, clock: Clock) -> Values:
        return [
            None if value is None or index < clock.begins else (index * clock.step - start(value)) / unit
            for index, value in enumerate(values)
        ]

    return shape


def forecast(base: float, window: int, ahead: int) -> Shape:
    """``predict_linear`` of a gauge that rises by ``value - base`` within ``ahead`` seconds while the fault lasts."""

    def shape(values: Values, clock: Clock) -> Values:
        level, levels = base, []
        for value in values:
            level += ((value or base) - base) * clock.step / ahead
            levels.append(level)
        size = window // clock.step + 1
        return [_line(levels[max(0, end + 1 - size) : end + 1], ahead / clock.step) for end in range(len(levels))]

    return shape


def _line(points: list[float], ahead: float) -> float:
    """The value of the least-squares line, so many steps after the last point."""
    number = len(points)
    middle, average = (number - 1) / 2, sum(points) / number
    spread = sum((index - middle) ** 2 for index in range(number))
    slope = sum((index - middle) * (point - average) for index, point in enumerate(points)) / (spread or 1)
    return average + slope * (number - 1 - middle + ahead)
