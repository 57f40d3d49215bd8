"""Faults as far as they need no lab: what they are called, what they expect, and when they refuse."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

from natobs.catalogue import alerts, objectives
from natobs.errors import LabError
from natobs.kernel import link
from natobs.kernel.recorded import RecordedMachine
from natobs.lab import errors_shown, faults
from natobs.lab.faults import cpu
from natobs.lab.faults.base import Fault
from natobs.lab.faults.expected import EXPECTED
from natobs.lab.faults.registry import ALL, find

RECORDING = Path(__file__).parent / "kernel" / "two-armed"


def defined() -> set[type[Fault]]:
    """Every fault that a module of the package defines: a class that can be made."""
    found = set()
    for module in pkgutil.iter_modules(faults.__path__):
        for _name, value in inspect.getmembers(importlib.import_module(f"{faults.__name__}.{module.name}")):
            if inspect.isclass(value) and issubclass(value, Fault) and "name" in vars(value):
                found.add(value)
    return found


def test_every_fault_that_is_defined_is_registered_once() -> None:
    assert defined() == set(ALL)
    assert len({fault.name for fault in ALL}) == len(ALL) > 20


def test_every_failure_mode_has_a_fault() -> None:
    assert {fault.mode for fault in ALL} - {""} == {f"F{number}" for number in range(1, 10)}


def test_every_fault_is_said_for_a_person_and_expects_something() -> None:
    for fault in ALL:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", fault.name)
        assert fault.title
        assert fault.sentence.endswith(".")
    assert list(EXPECTED) == [fault.name for fault in ALL]


def test_what_is_expected_is_in_the_catalogue() -> None:
    known = {alert.name: alert for alert in alerts.ALL}
    budgets = {objective.alert for objective in objectives.ALL}
    checked = 0
    for expected in (each for found in EXPECTED.values() for each in found):
        if expected.alert in budgets:
            checked += 1
            continue
        alert = known[expected.alert]
        assert expected.action in {level.action.value for level in alert.levels}, expected.alert
        assert {name for name, _ in expected.labels} <= set(alert.labels), expected.alert
        checked += 1
    assert checked >= len(ALL) - 1  # one of them is to stay silent


def test_an_unknown_fault_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(LabError, match="no fault 'fire'; there are table-evicting, table-full, "):
        find("fire")


def test_a_busy_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_percent", lambda seconds: 71.0)
    fault = cpu.CpuNeighbour.__new__(cpu.CpuNeighbour)
    with pytest.raises(LabError, match=r"this machine is busy already \(71 %\): cpu-neighbour would prove nothing"):
        fault.check()
    monkeypatch.setattr("psutil.cpu_percent", lambda seconds: 12.0)
    fault.check()


def test_errors_are_shown_on_one_device_and_nothing_else_changes() -> None:
    answer = RecordedMachine(RECORDING).ask(link.LINKS)
    before = {each.name: each for each in link.parse_links(answer)}
    after = {each.name: each for each in link.parse_links(errors_shown.damaged(answer, "eth0", 70))}
    assert before["eth0"].traffic is not None
    assert after["eth0"].traffic is not None
    assert after["eth0"].traffic.rx_errors == before["eth0"].traffic.rx_errors + 70
    assert {name for name in before if before[name] != after[name]} == {"eth0"}
    assert errors_shown.damaged(answer, "eth0", 0) == answer
