import time
from collections import Counter

import pytest

from natobs.probes.engine import Engine
from natobs.probes.model import Attempt, Reason
from natobs.probes.plan import Plan
from tests.scripted import Scripted, black_hole, descriptors, echo, target


def test_ten_thousand_targets_a_tenth_of_them_black_holes() -> None:
    count, interval, seconds = 10_000, 5.0, 6.5
    before = descriptors()
    targets = [target(f"198.51.100.{n}", interval_seconds=interval, timeout_seconds=0.5) for n in range(count)]
    probers = [Scripted(black_hole if n % 10 == 0 else echo) for n in range(count)]
    begun: Counter[str] = Counter()
    reasons: Counter[Reason | None] = Counter()
    lags: list[float] = []

    def report(attempt: Attempt) -> None:
        if not attempt.number:
            begun[attempt.target.host] += 1
            lags.append(attempt.lag)
        reasons[attempt.outcome.reason] += 1

    plan = Plan([interval] * count, 4000, time.monotonic())
    engine = Engine(targets, probers, plan, report)
    deadline, most_open, most_deadlines = time.monotonic() + seconds, 0, 0
    while time.monotonic() < deadline:
        engine.turn(0.02)
        most_open = max(most_open, engine.in_flight)
        most_deadlines = max(most_deadlines, len(engine._deadlines))
    open_at_the_end = descriptors() - before
    engine.close()
    assert sum(begun.values()) / (seconds - 0.5) == pytest.approx(count / interval, rel=0.15)  # it holds its rate
    assert len(begun) == count  # none starves
    assert plan.skipped == 0
    assert sorted(lags)[int(len(lags) * 0.99)] < 0.5
    assert set(reasons) == {None, Reason.TIMEOUT}
    assert reasons[Reason.TIMEOUT] >= count / 10  # retries too
    # 200 first attempts and as many of either retry a second, each for half a second; twice as many on a slow machine.
    assert most_open < 800
    assert open_at_the_end < 800
    assert most_deadlines < 5000
