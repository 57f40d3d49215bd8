"""Accounting as it is exported: sums, top-K, restarts of the agent, tables that come and go."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from natobs.collectors.accounting import AccountingCollector
from natobs.collectors.base import Outcome, run
from natobs.kernel import accounting
from natobs.kernel.accounting_table import count_rules
from natobs.kernel.nftables import TABLES
from tests.accounted import SETTINGS, AccountedKernel
from tests.nft_messages import INET, table
from tests.sums import check_sums

SHOP, OTHER_SHOP, BANK = "198.51.100.1", "198.51.100.2", "203.0.113.9"


def collector(state: Path | None = None, top: int = 2, names: Mapping[str, str] | None = None) -> AccountingCollector:
    return AccountingCollector(SETTINGS, top, names or {}, state)


def samples(outcome: Outcome) -> dict[str, float]:
    """Values by name and labels, as ``attempts tcp``."""
    assert outcome.success, outcome.gaps
    return {" ".join([sample.metric.name, *sample.labels]): sample.value for sample in outcome.samples}


def look(kernel: AccountedKernel, reader: AccountingCollector) -> dict[str, float]:
    return samples(run(reader, kernel.machine))


def test_without_the_table_there_is_nothing_and_it_says_what_to_do() -> None:
    kernel = AccountedKernel()
    kernel.machine.answers[TABLES.key] = table(INET, "filter")
    outcome = run(collector(), kernel.machine)
    assert outcome.success
    assert [(sample.metric.name, sample.value) for sample in outcome.samples] == [("natobs_accounting_installed", 0)]
    assert "natobs accounting install" in outcome.gaps[0].detail


def test_somebody_elses_table_of_the_same_name_is_not_read() -> None:
    kernel = AccountedKernel(comment="mine")
    outcome = run(collector(), kernel.machine)
    assert [(sample.metric.name, sample.value) for sample in outcome.samples] == [("natobs_accounting_installed", 0)]
    assert "foreign" in outcome.gaps[0].detail


def test_a_table_of_another_configuration_is_read_and_called_outdated() -> None:
    kernel = AccountedKernel(comment="natobs accounting 0123456789abcdef")
    found = look(kernel, collector())
    assert found["natobs_accounting_installed"] == 1
    assert found["natobs_accounting_current"] == 0


@pytest.mark.parametrize("times", [0, 2])
def test_a_table_whose_rules_are_gone_or_stand_twice_is_outdated_within_a_minute(times: int) -> None:
    now = [100.0]
    kernel = AccountedKernel()
    reader = AccountingCollector(SETTINGS, 2, {}, None, lambda: now[0])
    assert look(kernel, reader)["natobs_accounting_current"] == 1
    kernel.rules *= times
    kernel.publish()
    kernel.machine.asked.clear()
    now[0] += 59
    assert look(kernel, reader)["natobs_accounting_current"] == 1
    assert accounting.RULES.key not in kernel.machine.asked
    now[0] += 1
    assert look(kernel, reader)["natobs_accounting_current"] == 0
    kernel.rules = count_rules(SETTINGS)
    kernel.install()
    assert look(kernel, reader)["natobs_accounting_current"] == 1


def test_destinations_and_hosts_appear_at_zero_and_then_count() -> None:
    kernel = AccountedKernel()
    reader = collector()
    look(kernel, reader)
    kernel.flow("10.0.0.1", SHOP, 443)
    first = look(kernel, reader)
    assert first[f"natobs_destination_attempts_total {SHOP} 443 tcp"] == 0
    assert first["natobs_destination_attempts_total other  tcp"] == 1
    kernel.flow("10.0.0.1", SHOP, 443)
    kernel.flow("10.0.0.1", SHOP, 443, answered=False)
    second = look(kernel, reader)
    assert second[f"natobs_destination_attempts_total {SHOP} 443 tcp"] == 2
    assert second[f"natobs_destination_answered_total {SHOP} 443 tcp"] == 1
    assert second["natobs_host_attempts_total 10.0.0.1"] == 2
    check_sums(first, second)


def test_a_set_is_as_full_as_the_one_of_the_fuller_ip_version() -> None:
    kernel = AccountedKernel()
    assert look(kernel, collector())["natobs_accounting_elements hosts"] == 0
    for number in range(3):
        kernel.flow(f"10.0.0.{number}", SHOP, 443)
        kernel.flow(f"fd00::{number}", f"2001:db8::{number}", 443)
    found = look(kernel, collector())
    assert [found[f"natobs_accounting_elements {name}"] for name in ("attempts", "answers", "hosts")] == [3, 3, 3]
    assert found["natobs_accounting_elements_limit hosts"] == 4096


def test_what_conntrack_refused_is_an_attempt() -> None:
    kernel = AccountedKernel()
    reader = collector()
    look(kernel, reader)
    kernel.counters["offered_tcp"] += 7
    kernel.publish()
    found = look(kernel, reader)
    assert found["natobs_outbound_attempts_total tcp"] == 7
    assert found["natobs_outbound_untracked_attempts_total tcp"] == 7
    kernel.counters["tracked_tcp"] += 1  # a packet that was on its way between the two counters
    kernel.publish()
    assert look(kernel, reader)["natobs_outbound_attempts_total tcp"] == 7


def test_a_name_stands_for_all_its_addresses_and_the_longest_prefix_wins() -> None:
    kernel = AccountedKernel()
    reader = collector(names={"198.51.100.0/24": "shop", f"{OTHER_SHOP}/32": "checkout"})
    found = look(kernel, reader)
    for _round in range(2):
        for address in (SHOP, OTHER_SHOP, "198.51.100.77"):
            kernel.flow("10.0.0.1", address, 443)
        found = look(kernel, reader)
    assert found["natobs_destination_attempts_total shop 443 tcp"] == 2
    assert found["natobs_destination_attempts_total checkout 443 tcp"] == 1


def test_series_go_on_where_they_were_when_the_agent_restarts(tmp_path: Path) -> None:
    kernel = AccountedKernel()
    reader = collector(tmp_path / "state")
    before = look(kernel, reader)
    for _round in range(3):
        kernel.flow("10.0.0.1", SHOP, 443)
        before = look(kernel, reader)
    kernel.flow("10.0.0.2", BANK, 443)  # while no agent runs
    kernel.flow("10.0.0.1", SHOP, 443)
    after = look(kernel, collector(tmp_path / "state"))
    check_sums(before, after)
    assert after["natobs_outbound_attempts_total tcp"] == 5
    assert after[f"natobs_destination_attempts_total {SHOP} 443 tcp"] == 2


@pytest.mark.parametrize("running", [True, False])
def test_no_series_falls_when_the_table_is_installed_anew(tmp_path: Path, running: bool) -> None:  # noqa: FBT001 - a parameter of a test
    kernel = AccountedKernel()
    reader = collector(tmp_path / "state")
    before = look(kernel, reader)
    for _round in range(3):
        kernel.flow("10.0.0.1", SHOP, 443)
        before = look(kernel, reader)
    kernel.install()
    kernel.flow("10.0.0.1", SHOP, 443)
    after = look(kernel, reader if running else collector(tmp_path / "state"))
    check_sums(before, after)
    assert after["natobs_outbound_attempts_total tcp"] == 4


def test_counters_that_somebody_resets_take_no_count_with_them_and_hide_no_refusal() -> None:
    kernel = AccountedKernel()
    reader = collector()
    before = look(kernel, reader)
    for _round in range(3):
        kernel.flow("10.0.0.1", SHOP, 443)
        kernel.counters["offered_tcp"] += 10
        kernel.publish()
        before = look(kernel, reader)
    kernel.reset()
    kernel.counters["offered_tcp"] += 4  # refused by conntrack
    kernel.flow("10.0.0.1", SHOP, 443)
    after = look(kernel, reader)
    check_sums(before, after)
    assert after["natobs_outbound_untracked_attempts_total tcp"] == 34
    assert after["natobs_outbound_attempts_total tcp"] == 38
    assert after[f"natobs_destination_attempts_total {SHOP} 443 tcp"] == 3


def test_no_series_falls_when_a_collector_takes_over_from_one_that_went_on(tmp_path: Path) -> None:
    kernel = AccountedKernel()
    reader = collector(tmp_path / "state")
    look(kernel, reader)
    for _round in range(3):
        kernel.flow("10.0.0.1", SHOP, 443)
        look(kernel, reader)
    successor = collector(tmp_path / "state", top=3)
    kernel.flow("10.0.0.1", SHOP, 443)
    before = look(kernel, reader)
    kernel.flow("10.0.0.1", SHOP, 443)
    after = look(kernel, successor)
    check_sums(before, after)
    assert after[f"natobs_destination_attempts_total {SHOP} 443 tcp"] == 3


def test_an_element_that_a_dump_passed_over_is_no_burst() -> None:
    kernel = AccountedKernel()
    reader = collector()
    look(kernel, reader)
    for _flow in range(100):
        kernel.flow("10.0.0.1", SHOP, 443)
    look(kernel, reader)
    kernel.flow("10.0.0.1", SHOP, 443)
    before = look(kernel, reader)
    there = kernel.attempts.copy()
    kernel.attempts.clear()
    kernel.publish()
    look(kernel, reader)
    kernel.attempts = there
    kernel.flow("10.0.0.1", SHOP, 443)
    after = look(kernel, reader)
    check_sums(before, after)
    assert after["natobs_outbound_attempts_total tcp"] == 102
    assert after[f"natobs_destination_attempts_total {SHOP} 443 tcp"] == 2


def test_elements_that_expire_take_no_count_with_them() -> None:
    kernel = AccountedKernel()
    reader = collector()
    found = look(kernel, reader)
    for round_ in range(6):
        for address in (SHOP, BANK, OTHER_SHOP):
            kernel.flow("10.0.0.1", address, 443)
        if round_ % 2:
            kernel.forget()
        before, found = found, look(kernel, reader)
        check_sums(before, found)
    assert found["natobs_outbound_attempts_total tcp"] == 18


def test_a_state_file_that_cannot_be_written_is_said_and_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    kernel = AccountedKernel()
    outcome = run(collector(tmp_path / "file" / "state"), kernel.machine)
    assert not outcome.success
    assert "series begin anew" in outcome.gaps[0].detail
    assert len(outcome.samples) > 20


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x92\xa1x\x90", b"{}"])
def test_a_damaged_state_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    kernel = AccountedKernel()
    kernel.flow("10.0.0.1", SHOP, 443)
    assert look(kernel, collector(tmp_path / "state"))["natobs_outbound_attempts_total tcp"] == 1


def test_the_number_of_series_is_bounded_whatever_is_scanned() -> None:
    kernel = AccountedKernel()
    reader = collector(top=3)
    look(kernel, reader)
    for port in range(1, 400):
        kernel.flow(f"10.0.{port % 7}.{port % 250}", SHOP, port, "udp" if port % 2 else "tcp", answered=False)
        if port % 100 == 0:
            found = look(kernel, reader)
            assert sum(name.startswith("natobs_destination_attempts_total") for name in found) <= 2 * (3 + 1) + 2
            assert sum(name.startswith("natobs_host_attempts_total") for name in found) <= 3 + 1
