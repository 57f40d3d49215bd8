"""What every collector owes a machine that has nothing for it: no crash, no value, a reason."""

import pytest

from natobs.catalogue.metrics.agent import REASONS
from natobs.collectors import registry
from natobs.collectors.background import Background
from natobs.collectors.base import NOTHING_HERE, Collector, run
from natobs.config import Config, Events
from natobs.errors import UnavailableError
from natobs.kernel.machine import Query, Stream, StreamName
from tests.fakes import FakeMachine

NAMES = [entry.name for entry in registry.ALL]
OF_THE_PROCESS = {"self"}
"""Collectors that look at the agent itself, which is there on any machine."""


def collector(name: str) -> Collector:
    return next(
        collector for collector in registry.build(Config(events=Events(enabled=True))) if collector.name == name
    )


class ForbiddenMachine(FakeMachine):
    def ask(self, query: Query) -> bytes:
        raise UnavailableError("permission", f"{query.key}: not for you")

    def listen(self, name: StreamName) -> Stream:
        raise UnavailableError("permission", f"{name.value}: not for you")


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_without_anything_gives_no_value_and_no_failure(name: str) -> None:
    subject, machine = collector(name), FakeMachine()
    Background([subject], machine).prime()
    outcome = run(subject, machine)
    assert outcome.samples == ()
    assert outcome.gaps
    assert {gap.reason for gap in outcome.gaps} <= NOTHING_HERE
    assert all(gap.detail for gap in outcome.gaps)
    assert outcome.success


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_that_forbids_everything_gives_no_value_and_a_failure(name: str) -> None:
    subject, machine = collector(name), ForbiddenMachine()
    Background([subject], machine).prime()
    outcome = run(subject, machine)
    assert outcome.samples == ()
    assert {gap.reason for gap in outcome.gaps} == {"permission"}
    assert not outcome.success


@pytest.mark.parametrize("name", NAMES)
def test_junk_in_every_answer_is_a_format_error_and_no_value(name: str) -> None:
    class JunkMachine(FakeMachine):
        def ask(self, query: Query) -> bytes:
            return b"\x01junk \xff\n"

    subject, machine = collector(name), JunkMachine(streams={stream: [b"\x01junk"] for stream in StreamName})
    Background([subject], machine).prime()
    outcome = run(subject, machine)
    assert {gap.reason for gap in outcome.gaps} <= {"format", *NOTHING_HERE} <= set(REASONS)
    assert all(gap.reason != "error" for gap in outcome.gaps)
