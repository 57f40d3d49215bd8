"""Who stays, who goes and who is new."""

import pytest

from natobs.probe_config import Expect, ProbeSettings, Tls
from natobs.probes.model import Target
from natobs.probes.roster import Roster
from tests.scripted import settings


def targets(*hosts: str, **fields: object) -> list[Target]:
    made = settings(targets=hosts or ("-",), **fields)
    return [Target(made, host, 7) for host in hosts]


@pytest.mark.parametrize(
    ("wanted", "removed", "added"),
    [
        (("a", "b", "c"), [], {}),
        (("c", "a", "b"), [], {}),
        (("a", "c"), [1], {}),
        (("a", "b", "c", "d"), [], {3: "d"}),
        (("d", "e"), [0, 1, 2], {3: "d", 4: "e"}),
        ((), [0, 1, 2], {}),
    ],
)
def test_the_difference_of_two_lists(wanted: tuple[str, ...], removed: list[int], added: dict[int, str]) -> None:
    roster = Roster(targets("a", "b", "c"))
    others = targets(*wanted)
    difference = roster.compare(others)
    assert sorted(difference.removed) == removed
    assert {index: target.host for index, target in difference.added.items()} == added
    roster.change(others, difference)
    assert roster.targets == others
    assert len(roster) == len(wanted)
    again = roster.compare(others)
    assert (again.removed, again.added, again.renewed) == (frozenset(), {}, {})


def test_an_index_is_never_used_twice() -> None:
    roster, seen = Roster(targets("a")), {0}
    for _turn in range(5):
        for hosts in (("b",), ("a",)):
            wanted = targets(*hosts)
            difference = roster.compare(wanted)
            assert not seen & difference.added.keys()
            seen |= difference.added.keys()
            roster.change(wanted, difference)
    assert len(seen) == 11


@pytest.mark.parametrize(
    "fields",
    [
        {"targets": ("a", "elsewhere")},
        {"targets_file": "x.json"},
        {"targets_url": "http://192.0.2.1/"},
        {"critical": True},
    ],
)
def test_what_does_not_change_how_a_target_is_probed_keeps_its_prober(fields: dict[str, object]) -> None:
    roster = Roster(targets("a"))
    wanted = [Target(settings(**({"targets": ("a",)} | fields)), "a", 7)]
    difference = roster.compare(wanted)
    assert (difference.removed, difference.added) == (frozenset(), {})
    assert difference.renewed == {0: wanted[0]}


@pytest.mark.parametrize(
    "fields",
    [
        {"timeout_seconds": 1.0},
        {"interval_seconds": 20.0},
        {"expect": Expect(status=(204,))},
        {"source_ports": 8},
        {"kind": "stun"},
    ],
)
def test_what_is_probed_in_another_way_begins_anew(fields: dict[str, object]) -> None:
    roster = Roster(targets("a", "b"))
    other: ProbeSettings = settings(targets=("a",), **fields)
    difference = roster.compare([Target(other, "a", 7)])
    assert sorted(difference.removed) == [0, 1]
    assert [target.settings for target in difference.added.values()] == [other]


def test_a_reload_reads_files_of_authorities_again_and_a_look_for_targets_does_not() -> None:
    wanted = targets("a", kind="tls", tls=Tls(ca_file="ca.pem"))
    roster = Roster(wanted)
    assert not roster.compare(wanted).removed
    assert roster.compare(wanted, afresh=True).removed == {0}


def test_a_name_in_two_probes_is_two_targets() -> None:
    roster = Roster([*targets("a"), *targets("a", name="other")])
    assert roster.compare(targets("a")).removed == {1}
