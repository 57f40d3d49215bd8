"""Series as promtool's unit tests write them: ``natobs_x_total{nat="nat-21"}`` and ``0+3x20 60+0x10``.

Knows how a signal that changes with the state of the world becomes samples.

Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
"""

from collections.abc import Mapping

from natobs.generate.scenarios.model import Clock, Signal

BLANK = "_"
STALE = "stale"
"""What Prometheus itself writes when a series has vanished from a target, or the target does not answer."""


def named(name: str, labels: Mapping[str, str]) -> str:
    """A series with its labels; an empty value is a label that is not there."""
    inside = ", ".join(f'{key}="{value}"' for key, value in labels.items() if value)
    return f"{name}{{{inside}}}"


def firing(alert: str, labels: Mapping[str, str]) -> str:
    """The series that Prometheus writes of an alert that fires."""
    return named("ALERTS", {"alertname": alert, "alertstate": "firing", **labels})


def samples(clock: Clock, well: Signal | None, broken: Signal | None) -> str:
    """All samples of a series: while all is well, while it is not, and well again.

    Args:
        clock: the three spans.
        well: the series while all is well; None where there is none.
        broken: the same with the fault.
    """
    spans = [
        (well, clock.begins),
        (broken, clock.ends - clock.begins),
        (well, clock.samples - clock.ends),
    ]
    parts: list[str] = []
    latest: float | None = None
    before: Signal | None = None
    for signal, count in spans if well != broken else [(well, clock.samples)]:
        if signal is None:
            parts.append(f"{BLANK}x{count}" if before is None else f"{STALE} {BLANK}x{count - 1}")
        else:
            first, step = _start(signal, clock, latest)
            parts.append(f"{_number(first)}{'+' if step >= 0 else '-'}{_number(abs(step))}x{count - 1}")
            latest = first
            for _ in range(count - 1):  # as promtool does: the next state begins where this one ended, to the last bit
                latest += step
        before = signal
    return " ".join(parts)


def _start(signal: Signal, clock: Clock, latest: float | None) -> tuple[float, float]:
    """First sample of a state, and what is added from one to the next."""
    step = signal.increment(clock)
    if not signal.accumulates:
        return signal.level / (clock.scale if signal.stamp else 1), 0.0
    return (signal.level if latest is None else latest + step) + signal.burst, step


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
