import os
from pathlib import Path

import pytest

from natobs.errors import CaptureError, UnavailableError
from natobs.kernel.machine import Computed, Ethtool, EthtoolTopic, File, Netlink, Query, StreamName, Xtables
from natobs.kernel.recorded import RecordedMachine, RecordingMachine
from tests.fakes import FakeMachine

ANSWERED: list[Query] = [
    File("/proc/net/snmp"),
    Netlink("link", 0, 18, b""),
    Ethtool("eth0", EthtoolTopic.STATS),
    Xtables(ipv6=True, table="filter"),
    Computed("psutil/cpu", lambda: b"[]"),
]
REFUSED = File("/proc/net/ip_tables_names")
NEVER_ASKED = File("/proc/net/netstat")


def record(directory: Path) -> None:
    answers: dict[str, bytes | Exception] = {query.key: os.urandom(50) for query in ANSWERED}
    answers[REFUSED.key] = UnavailableError("permission", "only root may read it")
    machine = FakeMachine(answers, {StreamName.KERNEL_LOG: [b"6,1,2,-;\xff\x00odd", b"second"]})
    recording = RecordingMachine(machine, directory)
    for query in ANSWERED:
        assert recording.ask(query) == answers[query.key]
    with pytest.raises(UnavailableError):
        recording.ask(REFUSED)
    stream = recording.listen(StreamName.KERNEL_LOG)
    assert [stream.read(), stream.read(), stream.read()] == [b"6,1,2,-;\xff\x00odd", b"second", None]
    with pytest.raises(UnavailableError):
        recording.listen(StreamName.ROUTE_EVENTS)
    recording.finish("0.1.0", "6.1.0")
    replayed = RecordedMachine(directory)
    for query in ANSWERED:
        assert replayed.ask(query) == answers[query.key]


def test_a_recording_answers_as_the_machine_did(tmp_path: Path) -> None:
    record(tmp_path / "nat")
    machine = RecordedMachine(tmp_path / "nat")
    with pytest.raises(UnavailableError, match="only root may read it") as refused:
        machine.ask(REFUSED)
    assert refused.value.reason == "permission"
    with pytest.raises(UnavailableError, match="not in the recording") as missing:
        machine.ask(NEVER_ASKED)
    assert missing.value.reason == "absent"
    stream = machine.listen(StreamName.KERNEL_LOG)
    assert [stream.read(), stream.read(), stream.read()] == [b"6,1,2,-;\xff\x00odd", b"second", None]
    with pytest.raises(UnavailableError):
        machine.listen(StreamName.ROUTE_EVENTS)


def test_a_hostile_recording_cannot_lead_out_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "stats").write_text("secret", "utf-8")
    record(tmp_path / "nat")
    (tmp_path / "nat/proc/link").symlink_to(tmp_path / "stats")
    machine = RecordedMachine(tmp_path / "nat")
    for query in (Ethtool("../..", EthtoolTopic.STATS), File("/proc/link"), File("/proc/../../stats")):
        with pytest.raises(UnavailableError) as refused:
            machine.ask(query)
        assert refused.value.reason == "absent"


def test_a_recording_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("precious", "utf-8")
    with pytest.raises(CaptureError, match="not empty"):
        RecordingMachine(FakeMachine(), tmp_path)


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("natobs.kernel.recorded.os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(CaptureError, match="belongs to somebody else"):
        RecordingMachine(FakeMachine(), tmp_path / "nat")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "is this a directory from `natobs capture`"),
        (b"{", "is this a directory from `natobs capture`"),
        (b'{"format": 1, "natobs": "\xff"}', "is this a directory from `natobs capture`"),
        (b'{"format": ' + b"[" * 100_000, "is this a directory from `natobs capture`"),
        (b'{"format": 2, "natobs": "9", "kernel": "9"}', "recording of format 2, this natobs reads 1"),
        (
            b'{"format": 1, "natobs": "9", "kernel": "9", "refusals": {"a": {"reason": "odd", "detail": ""}}}',
            "Invalid enum value 'odd'",
        ),
    ],
)
def test_a_directory_that_is_no_recording_is_refused(tmp_path: Path, manifest: bytes | None, message: str) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(CaptureError, match=message):
        RecordedMachine(tmp_path)


@pytest.mark.parametrize("content", [b'["\xe4\xb8\xad"]', b'["\xff"]', b"[" * 100_000])
def test_a_damaged_stream_is_said(tmp_path: Path, content: bytes) -> None:
    record(tmp_path / "nat")
    (tmp_path / "nat/stream/kmsg").write_bytes(content)
    with pytest.raises(CaptureError, match="damaged"):
        RecordedMachine(tmp_path / "nat").listen(StreamName.KERNEL_LOG)
