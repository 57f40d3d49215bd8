import time
from collections import Counter

from natobs.probes.engine import Engine
from natobs.probes.model import Attempt, Reason
from natobs.probes.plan import Plan
from tests.effort import effort
from tests.scripted import Bench, Scripted, black_hole, descriptors, echo, target

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
    held, most_open, most_deadlines = time.monotonic() - plan.start, 0, 0
    while (begin := time.monotonic()) < plan.start + seconds + held:
        ran = time.process_time()
        engine.turn(WAIT_SECONDS)
        # What neither computed nor waited was not allowed to run: this machine is doing something else.
        held += max(0.0, time.monotonic() - begin - WAIT_SECONDS - (time.process_time() - ran))
        most_open = max(most_open, engine.in_flight)
        most_deadlines = max(most_deadlines, len(engine._loop._times))
    elapsed = time.monotonic() - plan.start
    open_at_the_end = descriptors() - before
    engine.close()
    # It holds its rate: all that was due has begun, but for the latest.
    rate, late = count / interval, 0.1 + held
    assert rate * (elapsed - late) <= sum(begun.values()) <= rate * elapsed * 1.02
    assert len(begun) == count  # none starves
    assert plan.skipped == 0
    assert sorted(lags)[int(len(lags) * 0.99)] < late
    assert set(reasons) == {None, Reason.TIMEOUT}
    assert reasons[Reason.TIMEOUT] >= count / 10  # retries too
    # 200 first attempts and as many of either retry a second, each for half a second; what was held up comes at once.
    most = 800 + 600 * held
    assert most_open < most
    assert open_at_the_end < most
    assert most_deadlines < 5000


def test_what_an_attempt_takes_does_not_depend_on_how_many_targets_there_are() -> None:
    few, many = (effort_of_an_attempt(targets) for targets in (50, 5000))
    assert many < 1.5 * few


def effort_of_an_attempt(targets: int) -> float:
    """Bytecodes of one attempt, of 500 that are answered at once, 50 in flight."""
    made = Bench([target(f"198.51.100.{n}", retries=0) for n in range(targets)], [echo] * targets)

    def attempts() -> None:
        for first in range(0, 500, 50):
            for index in range(first, first + 50):
                made.engine.begin(index * (targets // 50) % targets)
            made.finish(first + 50)

    _none, spent = effort(attempts)
    made.engine.close()
    return spent / 500
