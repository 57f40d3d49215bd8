import pytest

from natobs.collectors.background import Background
from natobs.collectors.base import Reading, run
from natobs.collectors.kernel_log import FIREWALL, KEPT_LINES, SUPPRESSED, KernelLogCollector, LogLine
from natobs.errors import FormatError, UnavailableError
from natobs.kernel.machine import FROM_NOW_ON, StreamName
from tests.fakes import FakeMachine

FULL = "nf_conntrack: nf_conntrack: table full, dropping packet"
DENY = "natobs-deny IN=eth0 OUT=eth1 MAC= SRC=10.0.1.11 DST=198.51.100.1 LEN=60 TTL=63 ID=1 DF PROTO=TCP"


def record(sequence: int, text: str, priority: int = 4, seconds: float = 10.0) -> bytes:
    return f"{priority},{sequence},{int(seconds * 1e6)},-;{text}\n".encode()


def listening(*before: bytes) -> KernelLogCollector:
    """Give a collector that has heard what the log held, and listens now."""
    subject = KernelLogCollector(boot_clock=lambda: 1000.0)
    for message in before:
        subject.hear(message)
    subject.hear(FROM_NOW_ON)
    return subject


def values(reading: Reading) -> dict[str, float]:
    return {" ".join((sample.metric.name[7:], *sample.labels)): sample.value for sample in reading.samples}


def counted(subject: KernelLogCollector) -> dict[str, float]:
    found = values(subject.collect(FakeMachine()))
    return {name.partition(" ")[2] or name: value for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("conntrack_table_full", FULL),
        ("conntrack_table_full", "nf_conntrack: table full, dropping packet"),
        ("conntrack_table_full", "nf_conntrack: nf_conntrack: table full in netns 4026532220, dropping packet"),
        ("oom_kill", "Out of memory: Killed process 812 (java) total-vm:123kB, anon-rss:1kB, UID:0"),
        ("oom_kill", "Memory cgroup out of memory: Killed process 812 (java) total-vm:123kB"),
        ("oom_kill", "Out of memory (oom_kill_allocating_task): Killed process 812 (java)"),
        ("oom_kill", "Killed process 812 (java) total-vm:123kB, anon-rss:1kB, file-rss:0kB"),
        ("nic_reset", "NETDEV WATCHDOG: eth0 (ena): transmit queue 3 timed out"),
        ("nic_reset", "virtio_net virtio0 eth0: NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5500 ms"),
        ("nic_reset", "ena 0000:00:07.0: Device reset completed successfully"),
        ("nic_reset", "ena 0000:00:05.0 eth0: Device reset completed successfully, Driver info: 2.8.9g"),
        ("nic_reset", "gve 0000:00:04.0: Performing reset"),
        ("nic_reset", "hv_netvsc 000d3a1e-8f6b eth0: Data path switched from VF: enP1s1"),
        ("martian_source", "IPv4: martian source 10.0.1.11 from 10.0.2.5, on dev eth0"),
        ("martian_source", "IPv4: martian destination 127.0.0.1 from 10.0.2.5, dev eth0"),
        ("neighbour_table_overflow", "neighbour: arp_cache: neighbor table overflow!"),
        ("neighbour_table_overflow", "neighbour: ndisc_cache: neighbor table overflow!"),
    ],
)
def test_each_event_is_told_from_the_words_of_the_kernel(event: str, text: str) -> None:
    subject = listening()
    subject.hear(record(1, text))
    assert counted(subject) == {event: 1}
    assert subject.lines() == (LogLine(1, 1010.0, event, text),)


@pytest.mark.parametrize(
    "text",
    [
        "eth0: link up",
        "audit: comm=nf_conntrack: table full, dropping packet",
        "Out of memory: Kill process 812 (java) score 9 or sacrifice child",
        "virtio_net virtio0 eth0: TX timeout on queue: 0, sq: output.0, vq: 0x1",
        "hv_netvsc 000d3a1e-8f6b eth0: Data path switched to VF: enP1s1",
    ],
)
def test_other_lines_are_neither_counted_nor_kept(text: str) -> None:
    subject = listening()
    subject.hear(record(1, text))
    assert counted(subject) == {}
    assert subject.lines() == ()


def test_every_series_is_there_once_the_log_is_open_and_not_before() -> None:
    subject = KernelLogCollector()
    unheard = run(subject, FakeMachine())
    assert unheard.samples == ()
    assert [gap.reason for gap in unheard.gaps] == ["absent"]
    subject.hear(FROM_NOW_ON)
    outcome = run(subject, FakeMachine())
    assert outcome.gaps == ()
    assert len(outcome.samples) == 7
    assert {sample.value for sample in outcome.samples} == {0}


def test_what_the_log_held_is_kept_but_not_counted() -> None:
    subject = listening(record(1, FULL, seconds=3.5), record(2, FULL, seconds=4))
    assert counted(subject) == {}
    assert [line.time for line in subject.lines()] == [1003.5, 1004]
    subject.hear(record(3, FULL, seconds=2))
    assert counted(subject) == {"conntrack_table_full": 1}


def test_user_space_cannot_forge_an_event() -> None:
    subject = listening()
    subject.hear(record(1, FULL, priority=8 + 4))
    assert counted(subject) == {}
    assert subject.lines() == ()


def test_lines_of_log_rules_are_kept_and_not_counted() -> None:
    subject = listening()
    subject.hear(record(1, DENY))
    assert counted(subject) == {}
    assert [(line.event, line.text) for line in subject.lines()] == [(FIREWALL, DENY)]
    [text] = subject.tail()
    assert text.endswith(f"  {DENY}")


def test_a_flood_of_denies_leaves_the_events_and_the_bound() -> None:
    subject = listening()
    for sequence in range(1, 1000):
        subject.hear(record(sequence, FULL if sequence <= 5 else DENY))
    tail = subject.lines()
    assert len(tail) == 5 + KEPT_LINES // 2 <= KEPT_LINES
    assert [line.sequence for line in tail] == [1, 2, 3, 4, 5, *range(950, 1000)]


def test_what_the_rate_limiter_withheld_is_counted() -> None:
    subject = listening()
    subject.hear(record(1, "net_ratelimit: 12 callbacks suppressed"))
    subject.hear(record(2, "net_ratelimit: 30 callbacks suppressed"))
    assert counted(subject) == {"kernel_log_suppressed_total": 42}
    assert [line.event for line in subject.lines()] == [SUPPRESSED] * 2


def test_lost_records_show_as_a_gap_in_the_sequence_numbers() -> None:
    subject = listening(record(10, "first"))
    subject.miss(UnavailableError("busy", "records were overwritten"))
    subject.hear(record(15, FULL))
    with pytest.raises(FormatError):
        subject.hear(b"record 16, damaged")
    subject.miss(FormatError("not a record"))
    subject.hear(record(17, "fine again"))
    assert counted(subject) == {"kernel_log_lost_total": 5, "conntrack_table_full": 1}


def test_a_log_that_is_opened_again_counts_only_what_is_new() -> None:
    subject = listening(record(1, FULL))
    subject.hear(record(2, FULL))
    for message in record(1, FULL), record(2, FULL), record(3, FULL), FROM_NOW_ON, record(4, FULL):
        subject.hear(message)
    assert counted(subject) == {"conntrack_table_full": 3}
    assert [line.sequence for line in subject.lines()] == [1, 2, 3, 4]


def test_a_log_that_is_forbidden_is_a_gap_and_no_zero() -> None:
    subject = KernelLogCollector()
    subject.miss(UnavailableError("permission", "/dev/kmsg: needs CAP_SYSLOG"))
    outcome = run(subject, FakeMachine())
    assert outcome.samples == ()
    assert [gap.reason for gap in outcome.gaps] == ["permission"]
    assert not outcome.success


def test_a_log_that_breaks_keeps_its_counts_and_says_so() -> None:
    subject = listening()
    subject.hear(record(1, FULL))
    subject.miss(UnavailableError("error", "/dev/kmsg: input/output error"))
    reading = subject.collect(FakeMachine())
    assert [gap.reason for gap in reading.gaps] == ["error"]
    assert values(reading)["kernel_log_events_total conntrack_table_full"] == 1


def test_the_background_delivers_what_a_stream_holds() -> None:
    subject = KernelLogCollector()
    machine = FakeMachine(streams={StreamName.KERNEL_LOG: [record(1, FULL), FROM_NOW_ON, record(2, FULL)]})
    Background([subject], machine).prime()
    assert counted(subject) == {"conntrack_table_full": 1}
    assert len(subject.lines()) == 2
