from natobs.catalogue.metrics.sysctls import SYSCTL
from natobs.collectors.base import run
from natobs.collectors.sysctls import KEEP_SECONDS, SysctlsCollector
from natobs.errors import UnavailableError
from natobs.kernel import sysctl
from tests.fakes import FakeMachine

FORWARD, LOOSE, ACCT = "net.ipv4.ip_forward", "net.netfilter.nf_conntrack_tcp_loose", "net.netfilter.nf_conntrack_acct"


def machine() -> FakeMachine:
    return FakeMachine(
        {
            sysctl.query(FORWARD).key: b"1\n",
            sysctl.query("net.ipv4.ip_local_port_range.min").key: b"32768\t60999\n",
            sysctl.query(LOOSE).key: UnavailableError("permission", "not for you"),
            sysctl.query(ACCT).key: b"maybe\n",
        }
    )


def test_what_is_there_and_one_gap_for_each_reason() -> None:
    outcome = run(SysctlsCollector(), machine())
    assert {sample.labels[0]: sample.value for sample in outcome.samples} == {
        FORWARD: 1,
        "net.ipv4.ip_local_port_range.min": 32768,
        "net.ipv4.ip_local_port_range.max": 60999,
    }
    details = {gap.reason: gap.detail for gap in outcome.gaps}
    assert set(details) == {"absent", "permission", "format"}
    assert LOOSE in details["permission"]
    assert ACCT in details["format"]
    assert len(details["absent"].split(", ")) == len(SYSCTL.labels[0].domain) - 5


def test_files_are_read_at_most_every_15_seconds() -> None:
    times = [100.0, 100.0, 100.0 + KEEP_SECONDS - 0.1, 100.0 + KEEP_SECONDS]
    subject, asked = SysctlsCollector(clock=iter(times).__next__), machine()
    subject.collect(asked)
    once = len(asked.asked)
    asked.answers[sysctl.query(FORWARD).key] = b"0\n"
    for value in (1, 1, 0):
        found = {sample.labels[0]: sample.value for sample in subject.collect(asked).samples}
        assert found[FORWARD] == value
    assert len(asked.asked) == 2 * once
