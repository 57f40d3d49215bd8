"""Other targets while the engine runs: those that stay notice nothing."""

import time

from natobs.probes.engine import Change, Engine
from natobs.probes.model import Attempt, Reason
from natobs.probes.plan import Plan
from tests.loopback import eventually
from tests.scripted import Bench, Scripted, at_work, black_hole, descriptors, echo, target


def test_one_that_goes_is_abandoned_and_closed_and_the_attempt_under_way_beside_it_ends_as_it_would() -> None:
    before = descriptors()
    made = Bench([target(timeout_seconds=5), target(timeout_seconds=0.3, retries=0)], [black_hole, black_hole])
    start = time.monotonic()
    made.engine.begin(0)
    made.engine.begin(1)
    made.engine.begin(0)  # waits for the first
    assert made.engine.change(Change(rate=1e6, removed=frozenset({0})))
    made.finish(1)
    assert 0.3 <= time.monotonic() - start < 5  # which is the limit of the other one
    assert [(each.target.settings.timeout_seconds, each.outcome.reason) for each in made.done] == [
        (0.3, Reason.TIMEOUT)
    ]
    assert made.engine.in_flight == 0
    assert [prober.closed for prober in made.probers] == [1, 0]
    made.engine.close()
    assert [prober.closed for prober in made.probers] == [1, 1]
    assert descriptors() <= before


def test_a_new_one_gets_its_beats_and_a_renewed_one_its_new_definition() -> None:
    old, new = (target(host, 7, interval_seconds=0.1, timeout_seconds=0.1) for host in ("192.0.2.1", "192.0.2.2"))
    renamed = target("192.0.2.1", 7, interval_seconds=0.1, timeout_seconds=0.1, critical=True)
    prober, other = Scripted(echo), Scripted(echo)
    done: list[Attempt] = []
    start = time.monotonic()
    engine = Engine([old], [prober], Plan([0.1], 100, start), done.append)
    with at_work(engine):
        assert eventually(lambda: len(done) >= 2)
        changed = time.monotonic()
        assert engine.change(Change(rate=100, added={1: (new, other)}, renewed={0: renamed}))
        assert eventually(lambda: min(len(other.numbers), sum(each.target is renamed for each in done)) >= 4)
        beats = [len(other.numbers), len(prober.numbers)]
        most = [(time.monotonic() - since) / 0.1 + 1 for since in (changed, start)]
    assert all(count <= bound for count, bound in zip(beats, most, strict=True))
    definitions = [each.target for each in done if each.target is not new]
    before = definitions.index(renamed)
    assert definitions == [old] * before + [renamed] * (len(definitions) - before)
    assert (prober.closed, other.closed) == (1, 1)
    assert not engine.change(Change(rate=1))  # nobody is there any more


def test_a_change_wakes_an_engine_that_waits_for_nothing() -> None:
    done: list[Attempt] = []
    engine = Engine([], [], Plan((), 1, time.monotonic()), done.append)
    with at_work(engine):
        time.sleep(0.1)
        new = target(interval_seconds=0.1, timeout_seconds=0.1)
        engine.change(Change(rate=100, added={0: (new, Scripted(echo))}))
        assert eventually(lambda: len(done) >= 2)


def test_what_was_to_come_is_closed_when_the_engine_is_before_it_came() -> None:
    made, late = Bench([target()], [echo]), Scripted(echo)
    made.engine.change(Change(rate=1, added={1: (target(), late)}))
    made.engine.close()
    assert late.closed == 1


def test_retries_of_one_that_goes_are_forgotten() -> None:
    failing = target(timeout_seconds=0.05, retries=1, retry_delay_seconds=0.1)
    made = Bench([failing, target()], [black_hole, echo])
    made.engine.begin(0)
    made.finish(1)
    made.engine.change(Change(rate=1e6, removed=frozenset({0})))
    deadline = time.monotonic() + 0.4
    while time.monotonic() < deadline:
        made.engine.turn(0.05)
    assert made.probers[0].numbers == [0]
    made.engine.close()
