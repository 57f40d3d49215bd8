"""The text of the accounting table, and the program that loads it."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from natobs.errors import AccountingError, SetupError
from natobs.kernel import accounting_table, nft_program
from natobs.kernel.accounting_table import MARK, Settings

PREFIXES = ("10.0.0.0/8", "192.168.0.0/16", "fc00::/7")


def settings(*inside: str, label: int = 126) -> Settings:
    networks = [ip_network(prefix) for prefix in inside or PREFIXES]
    return Settings(networks, destinations=1000, hosts=100, timeout_seconds=300, label=label)


def lines(text: str, what: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if what in line]


def test_everything_is_filled_in() -> None:
    text = accounting_table.text(settings(label=40))
    assert "$" not in text
    assert "@inside" not in text
    assert f'comment "{accounting_table.mark(settings(label=40))}"' in text
    assert "ct label set 40" in text
    assert "ct label set 41" in text
    assert len(lines(text, "size 1000;")) == 4
    assert len(lines(text, "size 100;")) == 2
    assert len(lines(text, "timeout 300s")) == 6


def test_a_rule_stands_once_for_each_prefix() -> None:
    text = accounting_table.text(settings())
    assert lines(text, "goto offered") == [
        "ip saddr 10.0.0.0/8 goto offered",
        "ip saddr 192.168.0.0/16 goto offered",
        "ip6 saddr fc00::/7 goto offered",
    ]


def test_many_prefixes_are_a_set() -> None:
    text = accounting_table.text(settings(*(f"10.{number}.0.0/16" for number in range(1, 30, 2)), "fc00::/7"))
    assert lines(text, "goto offered") == ["ip saddr @inside4 goto offered", "ip6 saddr fc00::/7 goto offered"]
    assert "elements = { 10.1.0.0/16, 10.3.0.0/16, " in text


def test_prefixes_within_others_are_left_out() -> None:
    text = accounting_table.text(
        settings("10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "192.168.0.0/17", "192.168.128.0/17")
    )
    assert lines(text, "goto offered") == ["ip saddr 10.0.0.0/8 goto offered", "ip saddr 192.168.0.0/16 goto offered"]


def test_the_mark_tells_every_difference_and_no_other() -> None:
    assert accounting_table.mark(settings()) == accounting_table.mark(settings(*reversed(PREFIXES)))
    marks = {accounting_table.mark(one) for one in (settings(), settings("10.0.0.0/8"), settings(label=1))}
    assert len(marks) == 3
    assert all(mark.startswith(f"{MARK} ") and len(mark) < 128 for mark in marks)  # NFTNL_UDATA_COMMENT_MAXLEN


def test_quarantined_addresses_go_to_the_set_of_their_version() -> None:
    text = accounting_table.text(settings(), ['10.0.0.1 comment "a: b"', "fd00::1-fd00::2", "10.1.0.0/16"])
    assert lines(text, "add element inet natobs quarantine")[1:] == [
        'add element inet natobs quarantine4 { 10.0.0.1 comment "a: b", 10.1.0.0/16 }',
        "add element inet natobs quarantine6 { fd00::1-fd00::2 }",
    ]


def test_every_other_text_names_a_table_that_cannot_be_another() -> None:
    assert accounting_table.creation(settings()).startswith(f'create table inet natobs {{ comment "{MARK}')
    assert accounting_table.replacement(settings(), 9, []).startswith("delete table inet handle 9\n")
    assert accounting_table.removal(9) == "delete table inet handle 9\n"


def test_the_complaint_names_the_line() -> None:
    said = "/dev/stdin:2:10-14: Error: syntax error, unexpected newline\nadd rule x\n         ^^^^^\n"
    assert nft_program.complaint(said, "flush ruleset\n\tadd rule x\n") == (
        "nft: line 2: Error: syntax error, unexpected newline: add rule x"
    )
    assert nft_program.complaint(said, "one line") == "nft: line 2: Error: syntax error, unexpected newline"
    assert nft_program.complaint("netlink: Error:\n  cache", "") == "netlink: Error: cache"
    assert len(nft_program.complaint("x" * 5000, "")) == 400


def program(directory: Path, script: str) -> str:
    path = directory / "nft"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return str(directory)


def test_nft_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nft_program, "PLACES", (str(tmp_path),))
    with pytest.raises(SetupError, match="nft is missing; it is in the package nftables"):
        nft_program.load("")
    monkeypatch.setattr(nft_program, "PLACES", (program(tmp_path, "exit 0"),))
    (tmp_path / "nft").write_bytes(b"\x7fELF")
    with pytest.raises(SetupError, match="nft: Exec format error"):
        nft_program.load("")


def test_nft_gets_the_text_and_its_status_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        nft_program, "PLACES", (program(tmp_path, f'cat > {tmp_path}/got; echo "$@" >> {tmp_path}/got'),)
    )
    nft_program.load("table inet x\n", only_check=True)
    assert (tmp_path / "got").read_text("utf-8") == "table inet x\n--check --file -\n"
    program(tmp_path, "exit 3")
    with pytest.raises(AccountingError, match="nft ended with status 3"):
        nft_program.load("")
    program(tmp_path, "kill -9 $$")
    with pytest.raises(AccountingError, match="nft ended with status -9"):
        nft_program.load("")


def test_nft_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nft_program, "PLACES", (program(tmp_path, "exec sleep 20"),))
    monkeypatch.setattr(nft_program, "SECONDS", 0.2)
    with pytest.raises(AccountingError, match="did not end within"):
        nft_program.load("")
