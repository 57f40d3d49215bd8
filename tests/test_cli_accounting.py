"""``natobs accounting`` as far as it needs no privilege: what it prints, and its exit statuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from natobs.cli.accounting import command
from natobs.kernel import accounting_status
from natobs.kernel.accounting_status import ACCOUNT, TIMESTAMP, Fill, Status
from natobs.kernel.flowtables import Flowtables

GOOD = Status(
    installed=True,
    comment="natobs accounting 0123456789abcdef",
    current=True,
    whole=True,
    obstacle="",
    sets={"attempts4": Fill(12, 16_384), "attempts6": Fill(0, 16_384), "hosts4": Fill(100, 100)},
    quarantined=['10.0.1.7 comment "ticket 8"', "10.9.0.0-10.9.255.255"],
    labels=(126, 127),
    sysctls={ACCOUNT: 0, TIMESTAMP: 1},
    flowtables=Flowtables(software=1, hardware=2),
)


def status(monkeypatch: pytest.MonkeyPatch, said: Status, *words: str) -> Result:
    monkeypatch.setattr(accounting_status, "read", lambda machine, settings: said)
    return CliRunner().invoke(command, ["status", *words])


def test_everything_a_person_wants_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    done = status(monkeypatch, GOOD)
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert lines[0] == "accounting is installed"
    assert "destinations attempted, IPv4 12 of 16384" in lines
    assert "private hosts, IPv4 100 of 100; full: new ones are counted as other" in lines
    assert 'quarantined 10.0.1.7 comment "ticket 8", 10.9.0.0-10.9.255.255' in lines
    assert "conntrack label bits 126 and 127" in lines
    assert (
        f"{ACCOUNT} 0: packets and bytes of single flows are unknown, those of all flows together are counted" in lines
    )
    assert f"{TIMESTAMP} 1" in lines
    assert lines[-1].startswith("flowtables 1 in software, 2 offloaded: packets, bytes and resets of flows in them are")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (replace(GOOD, installed=False, current=False, whole=False, obstacle="no labels"), "and cannot be: no labels"),
        (replace(GOOD, current=False, whole=False), "for another configuration or by another version"),
        (replace(GOOD, whole=False), "rules of its table are missing"),
    ],
)
def test_what_is_not_as_configured_is_status_1(monkeypatch: pytest.MonkeyPatch, said: Status, says: str) -> None:
    done = status(monkeypatch, said)
    assert (done.exit_code, says in done.output) == (1, True)
    assert status(monkeypatch, said, "--json").exit_code == 1


def test_what_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    done = status(monkeypatch, replace(GOOD, sysctls={ACCOUNT: None}, flowtables=None))
    assert f"{ACCOUNT}         cannot be read" in done.output
    assert done.output.splitlines()[-1].split() == ["flowtables", "cannot", "be", "read"]


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads(status(monkeypatch, GOOD, "--json").output)
    assert list(said) == ["good", *Status.__dataclass_fields__]
    assert said["good"] is True
    assert said["sets"]["hosts4"] == {"elements": 100, "size": 100}
    assert said["flowtables"] == {"software": 1, "hardware": 2}


def test_print_needs_nothing_but_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "natobs.toml"
    config.write_text('[nat]\ninside = ["10.4.0.0/16"]\n[accounting]\nlabel = 5\n', "utf-8")
    done = CliRunner().invoke(command, ["print", "--config", str(config)])
    assert done.exit_code == 0
    assert "ip saddr 10.4.0.0/16 goto offered" in done.output
    assert "ct label set 5\n" in done.output


@pytest.mark.parametrize("words", [["install", "--nonsense"], ["status", "more"], ["nonsense"]])
def test_wrong_usage_is_2(words: list[str]) -> None:
    assert CliRunner().invoke(command, words).exit_code == 2
