import time
from collections import Counter

from natobs.probes.engine import Engine
from natobs.probes.model import Attempt, Reason
from natobs.probes.plan import Plan
from tests.scripted import Scripted, black_hole, descriptors, echo, target

WAIT_SECONDS = 0.02


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
    held, spent, most_open, most_deadlines = time.monotonic() - plan.start, time.process_time(), 0, 0
    while (begin := time.monotonic()) < plan.start + seconds:
        ran = time.process_time()
        engine.turn(WAIT_SECONDS)
        # What neither computed nor waited was not allowed to run: this machine is doing something else.
        held += max(0.0, time.monotonic() - begin - WAIT_SECONDS - (time.process_time() - ran))
        most_open = max(most_open, engine.in_flight)
        most_deadlines = max(most_deadlines, len(engine._loop._times))
    elapsed, spent = time.monotonic() - plan.start, time.process_time() - spent
    open_at_the_end = descriptors() - before
    engine.close()
    # It holds its rate: all that was due has begun, but for the latest.
    rate, late = count / interval, 0.1 + held
    assert rate * (elapsed - late) <= sum(begun.values()) <= rate * elapsed * 1.02
    assert len(begun) == count  # none starves
    assert plan.skipped == 0
    assert sorted(lags)[int(len(lags) * 0.99)] < late
    assert spent / sum(reasons.values()) < 0.000_3  # seconds of CPU for an attempt; some 0.000_05
    assert set(reasons) == {None, Reason.TIMEOUT}
    assert reasons[Reason.TIMEOUT] >= count / 10  # retries too
    # 200 first attempts and as many of either retry a second, each for half a second; twice as many where held up.
    assert most_open < 800
    assert open_at_the_end < 800
    assert most_deadlines < 5000
