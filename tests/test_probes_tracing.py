import random
from collections import Counter

import pytest
from msgspec.structs import replace

from natobs.probes.model import Attempt, Outcome, Reason, Target
from natobs.probes.tracing import Tracing
from tests.scripted import refused, target

PLACES = [target(f"192.0.2.{number}") for number in range(10)]


def attempt(outcome: Outcome, whom: Target = PLACES[0]) -> Attempt:
    return Attempt(whom, 0, 1_700_000_000.0, 0.01, 0.0, outcome)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a test's own chance


def test_every_failure_has_a_trace_of_its_own() -> None:
    handed: list[Attempt] = []
    tracing = Tracing(100, handed.append, seeded(1))
    passed = [tracing(attempt(Outcome(reason))) for reason in Reason for _ in range(10)]
    assert passed == handed
    traces = [one.trace for one in handed]
    assert None not in traces
    assert len({trace.trace_id for trace in traces if trace}) == len(traces)
    assert len({trace.span_id for trace in traces if trace}) == len(traces)
    assert {len(trace.trace_id) for trace in traces if trace} == {16}
    assert {len(trace.span_id) for trace in traces if trace} == {8}


@pytest.mark.parametrize("share", [1, 2, 7, 100])
def test_of_each_so_many_successes_one_has_a_trace(share: int) -> None:
    handed: list[Attempt] = []
    tracing = Tracing(share, handed.append, seeded(2))
    for block in range(1, 21):
        for _ in range(share):
            passed = tracing(attempt(Outcome()))
            assert (passed.trace is not None) == (passed in handed[-1:])
            assert replace(passed, trace=None) == attempt(Outcome())
            tracing(attempt(refused()))  # failures take no success's place
        assert sum(one.outcome.success for one in handed) == block


def test_targets_that_take_turns_are_all_traced() -> None:
    handed: list[Attempt] = []
    tracing = Tracing(len(PLACES), handed.append, seeded(3))
    for _ in range(200):
        for whom in PLACES:
            tracing(attempt(Outcome(), whom))
    seen = Counter(one.target.host for one in handed)
    assert sum(seen.values()) == 200
    assert len(seen) == len(PLACES)
    assert max(seen.values()) < 50


def test_an_identity_of_zeros_is_none() -> None:
    class Zeros(random.Random):
        asked = 0

        def randbytes(self, n: int) -> bytes:
            self.asked += 1
            return bytes(n) if self.asked % 2 else b"\x01" * n

    passed = Tracing(1, lambda one: None, Zeros())(attempt(Outcome()))
    assert passed.trace is not None
    assert any(passed.trace.trace_id)
    assert any(passed.trace.span_id)
