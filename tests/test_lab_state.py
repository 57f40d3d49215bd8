"""What is written down about labs in the background, and when it is believed."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from natobs import rundir
from natobs.errors import LabError, SetupError
from natobs.lab import launch, state, sweep, topology


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def write(saved: state.Saved) -> Path:
    path = rundir.directory() / f"lab-{saved.name}.json"
    path.write_bytes(msgspec.json.encode(saved))
    return path


def this_process() -> state.Saved:
    process = rundir.Process.of(os.getpid())
    assert process is not None
    return state.Saved(topology.pool("mine", ports=(7, 9)), launch.Holder(process, user_namespace=False), 12.5)


def somebody_else(saved: state.Saved, **lie: object) -> state.Saved:
    process = msgspec.structs.replace(saved.holder.process, **lie)
    return msgspec.structs.replace(saved, holder=replace(saved.holder, process=process))


def test_a_lab_whose_holder_runs_is_found_as_it_was_written() -> None:
    saved = this_process()
    write(saved)
    assert state.running() == [saved]
    assert state.find("mine").lab().holder == saved.holder


def test_worlds_beside_it_and_where_it_is_shown_are_remembered() -> None:
    beside = (topology.two_armed("other"),)
    urls = {"Prometheus": "http://127.0.0.1:9090/"}
    saved = msgspec.structs.replace(this_process(), beside=beside, urls=urls)
    write(saved)
    assert state.find("mine") == saved
    assert [world.topology.name for world in saved.lab().worlds] == ["mine", "other"]
    assert all(world.holder == saved.holder for world in saved.lab().worlds)


def test_a_recycled_process_id_is_not_believed() -> None:
    saved = this_process()
    path = write(somebody_else(saved, started=saved.holder.process.started - 1))
    assert state.running() == []
    assert not path.exists()


def test_another_boot_is_not_believed() -> None:
    path = write(somebody_else(this_process(), boot="another"))
    assert state.running() == []
    assert not path.exists()


def test_garbage_is_forgotten() -> None:
    path = rundir.directory() / "lab-garbage.json"
    path.write_bytes(b'{"topology": 7')
    assert state.running() == []
    assert not path.exists()


def test_a_lab_that_is_not_up_is_said_with_those_that_are() -> None:
    write(this_process())
    with pytest.raises(LabError, match=r"no lab 'other' is up; up: mine\. Build one with: natobs lab up --name other"):
        state.find("other")


def test_ending_a_lab_never_signals_a_recycled_process_id() -> None:
    saved = this_process()
    stale = somebody_else(saved, started=saved.holder.process.started - 1)
    path = write(stale)
    state.down(stale)  # had it been believed, this very process would be gone
    assert not path.exists()


def test_the_directory_is_for_this_user_alone(runtime: Path) -> None:
    assert rundir.directory() == runtime / "natobs"
    assert rundir.directory().stat().st_mode & 0o777 == 0o700


def test_a_lock_that_is_held_is_waited_for_and_then_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "_LOCK_SECONDS", 0.2)
    with rundir.locked(), pytest.raises(SetupError, match="another natobs command holds"), rundir.locked():
        pass


def test_start_ticks_tell_processes_apart() -> None:
    assert rundir.start_ticks(os.getpid()) == rundir.start_ticks(os.getpid())
    assert rundir.start_ticks(2**22 + 1) is None  # above the largest pid_max, so there is none


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("natobs.lab.launch.shutil.which", lambda program, path: None if program != "ip" else "/sbin/ip")
    with pytest.raises(LabError, match=r"needs nft, ip6tables-nft-restore; .* apt-get install iptables nftables"):
        launch.require("nft", "ip", "ip6tables-nft-restore")


def test_owners_are_believed_by_id_and_start_time() -> None:
    assert sweep._owned("background")
    assert sweep._owned(f"{os.getpid()}:{rundir.start_ticks(os.getpid())}")
    assert not sweep._owned(f"{os.getpid()}:1")
    assert not sweep._owned("garbage")
