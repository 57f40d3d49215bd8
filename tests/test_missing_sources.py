"""A recorded NAT from which one source is taken away: the rest is served, the gap is named, nothing is made up."""

import shutil
from pathlib import Path

import pytest

from natobs.collectors import registry
from natobs.collectors.background import Background
from natobs.collectors.base import Outcome, run
from natobs.collectors.observer import Observer
from natobs.config import Config
from natobs.kernel.machine import Query
from natobs.kernel.recorded import RecordedMachine

RECORDING = Path(__file__).parent / "kernel" / "two-armed"
PROC = sorted(str(path.relative_to(RECORDING)) for path in (RECORDING / "proc").rglob("*") if path.is_file())
NETLINK = sorted(str(path.relative_to(RECORDING)) for path in (RECORDING / "netlink").iterdir())
NOTHING_IN_IT = {"proc/net/ip_tables_names", "proc/net/ip6_tables_names", "netlink/qdisc"}
"""Answers that say that there is nothing of the kind: without them no sample is lost."""


def outcomes(directory: Path) -> dict[str, Outcome]:
    observer = Observer(RecordedMachine(directory), Config())
    observer.prime()
    try:
        return {outcome.collector: outcome for outcome in observer.collect(30).outcomes}
    finally:
        observer.stop()


class WatchedMachine(RecordedMachine):
    """A recorded machine that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(RECORDING)
        self.asked: set[str] = set()

    def ask(self, query: Query) -> bytes:
        self.asked.add(query.key)
        return super().ask(query)


@pytest.fixture(scope="module")
def whole() -> dict[str, Outcome]:
    return outcomes(RECORDING)


@pytest.fixture(scope="module")
def readers() -> dict[str, set[str]]:
    """Give the names of the collectors that ask for each key."""
    found: dict[str, set[str]] = {}
    for collector in registry.build(Config()):
        machine = WatchedMachine()
        Background([collector], machine).prime()
        run(collector, machine)
        for key in machine.asked:
            found.setdefault(key, set()).add(collector.name)
    return found


@pytest.mark.parametrize("key", PROC + NETLINK)
def test_without_one_source_the_rest_is_served_and_nothing_is_made_up(
    tmp_path: Path, whole: dict[str, Outcome], readers: dict[str, set[str]], key: str
) -> None:
    lame = tmp_path / "lame"
    shutil.copytree(RECORDING, lame)
    (lame / key).unlink()
    found = outcomes(lame)
    assert found.keys() == whole.keys()
    lost = 0
    for name, outcome in found.items():
        if name not in readers[key]:
            assert outcome.samples == whole[name].samples
            assert outcome.gaps == whole[name].gaps
            continue
        assert set(outcome.samples) <= set(whole[name].samples), "a value that was not read"
        lost += len(whole[name].samples) - len(outcome.samples)
        missing = set(outcome.gaps) - set(whole[name].gaps)
        assert {gap.reason for gap in missing} == {"absent"}
        assert any(Path(key).name in gap.detail for gap in missing)
    assert (lost == 0) == (key in NOTHING_IN_IT)
