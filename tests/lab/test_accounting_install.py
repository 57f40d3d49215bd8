"""Installing, replacing and removing the accounting table beside every kind of ruleset."""

import json
import re
import subprocess
from typing import get_args

import pytest

from natobs.lab import topology
from natobs.lab.lab import Host, Lab
from tests.lab import accounting_plan as plan
from tests.lab.accounting_plan import ECHO
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

VARYING = re.compile(r" \[\d+:\d+\]$|^# (Generated|Completed) .*$", re.MULTILINE)
"""What iptables-save adds to a ruleset: what its policies counted, and the time."""
FOREIGN = 'table inet natobs {\n comment "of the network team"\n chain natobs {\n }\n}\n'


def accounting(nat: Host, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return nat.run(nat.python("natobs", "accounting", *words), check=check)


def rules(nat: Host) -> str:
    """Every rule there is, with its handle and without what it has counted: of nftables and of iptables-legacy."""
    listed = nat.run(["nft", "-s", "-a", "list", "ruleset"]).stdout
    saved = "".join(nat.run([f"{family}tables-legacy-save"]).stdout for family in ("ip", "ip6"))
    return listed + VARYING.sub("", saved)


@pytest.mark.parametrize("backend", get_args(topology.Backend))
def test_nothing_is_left_of_it(lab_factory: LabFactory, backend: topology.Backend) -> None:
    lab = lab_factory(topology.two_armed(f"beside-{backend[-6:]}", backend=backend))
    nat = lab.host("nat")
    before = rules(nat)
    assert "natobs" not in before
    accounting(nat, "install")
    assert "table inet natobs" in rules(nat)
    (answered,) = plan.flows(lab.host("client1"), [("tcp", lab.topology.server_addresses(4)[0], ECHO, 3, 5)])
    assert answered["answered"] == 3
    assert accounting(nat, "remove").stdout == "accounting is removed\n"
    assert rules(nat) == before


@pytest.fixture
def nat(two_armed_lab: Lab) -> Host:
    """A NAT without the table."""
    host = two_armed_lab.host("nat")
    host.run(["sh", "-c", "nft delete table inet natobs 2> /dev/null || true"])
    return host


def test_twice_is_once(nat: Host) -> None:
    assert accounting(nat, "install").stdout == "accounting is installed\n"
    plan.flows(nat.lab.host("client1"), [("tcp", nat.lab.topology.server_addresses(4)[0], ECHO, 3, 5)])
    before = rules(nat)
    assert "handle" in before
    assert accounting(nat, "install").stdout == "accounting is installed already; nothing was changed\n"
    assert rules(nat) == before
    assert plan.read(nat).counters["attempts_tcp"] == 3


def test_what_is_printed_is_what_is_loaded(nat: Host) -> None:
    printed = accounting(nat, "print").stdout
    accounting(nat, "install")
    installed = nat.run(["nft", "-s", "list", "ruleset"]).stdout
    accounting(nat, "remove")
    nat.run(["nft", "-f", "-"], stdin=printed)
    assert nat.run(["nft", "-s", "list", "ruleset"]).stdout == installed
    assert accounting(nat, "status").stdout.startswith("accounting is installed\n")


def test_a_changed_configuration_replaces_it_and_keeps_the_quarantine(nat: Host) -> None:
    accounting(nat, "install")
    nat.run(
        ["nft", "-f", "-"],
        stdin='add element inet natobs quarantine4 { 10.0.1.7 comment "ticket 8: slow", 10.9.0.0/16 }\n'
        "add element inet natobs quarantine6 { fd00:a:1::7-fd00:a:1::9 }\n",
    )
    kept = [
        nat.run(["nft", "-s", "list", "set", "inet", "natobs", f"quarantine{version}"]).stdout for version in (4, 6)
    ]
    config = nat.run(["mktemp"]).stdout.strip()
    nat.run(["sh", "-c", f"cat > {config}"], stdin="[accounting]\nhosts = 100\nlabel = 90\n")
    assert accounting(nat, "status", "--config", config, check=False).returncode == 1
    said = accounting(nat, "install", "--config", config).stdout
    assert said == "the accounting table was replaced; its quarantine was kept\n"
    status = json.loads(accounting(nat, "status", "--json", "--config", config).stdout)
    nat.run(["rm", config])
    assert status["sets"]["hosts4"] == {"elements": 0, "size": 100}
    assert [nat.run(["nft", "-s", "list", "set", "inet", "natobs", f"quarantine{v}"]).stdout for v in (4, 6)] == kept
    assert "ticket 8: slow" in kept[0]
    assert "ct label set 90" in rules(nat)


def test_a_flushed_table_is_found_and_mended(nat: Host) -> None:
    accounting(nat, "install")
    nat.run(["nft", "flush", "table", "inet", "natobs"])
    done = accounting(nat, "status", check=False)
    assert (done.returncode, "rules of its table are missing" in done.stdout) == (1, True)
    assert "was replaced" in accounting(nat, "install").stdout
    assert accounting(nat, "status").returncode == 0


def test_a_table_that_was_loaded_twice_is_found_and_mended(nat: Host) -> None:
    accounting(nat, "install")
    nat.run(["nft", "-f", "-"], stdin=accounting(nat, "print").stdout)
    done = accounting(nat, "status", check=False)
    assert (done.returncode, "or are there twice" in done.stdout) == (1, True)
    assert "was replaced" in accounting(nat, "install").stdout
    assert accounting(nat, "status").returncode == 0


@pytest.mark.parametrize("words", [("install",), ("remove",), ("status",)])
def test_a_table_of_somebody_else_is_refused(nat: Host, words: tuple[str, ...]) -> None:
    nat.run(["nft", "-f", "-"], stdin=FOREIGN)
    before = rules(nat)
    done = accounting(nat, *words, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "natobs: there is a table inet natobs that is not natobs' own: its comment is 'of the"
    )
    assert rules(nat) == before


BROKEN = """
import sys
from natobs.cli import main
from natobs.kernel import accounting_table
whole, more = accounting_table.text, sys.argv.pop()
accounting_table.text = lambda *words: whole(*words) + more
main.main()
"""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("add rule inet natobs nowhere counter\n", "No such file or directory: add rule inet natobs nowhere counter"),
        ("add rule inet natobs attempt counter frobnicate\n", "Error: syntax error"),
        ("delete table ip6 gone\n", "No such file or directory: delete table ip6 gone"),
        ("add rule inet natobs attempt jump attempt\n", "Could not process rule"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["the-first", "a-replacement"])
def test_an_installation_that_fails_changes_nothing(nat: Host, first: bool, more: str, says: str) -> None:  # noqa: FBT001 - a parameter of pytest
    if not first:
        accounting(nat, "install")
        nat.run(["nft", "add element inet natobs quarantine4 { 10.0.1.7 }"])
        nat.run(["nft", "flush chain inet natobs offered"])
    before = rules(nat)
    done = nat.run([nat.python("natobs")[0], "-c", BROKEN, "accounting", "install", more], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "line " in done.stderr
    assert rules(nat) == before


def test_without_nft_or_privilege_it_says_so(nat: Host) -> None:
    python = nat.python("natobs")[0]
    done = nat.run(
        [
            "setpriv",
            "--bounding-set=-net_admin",
            "--inh-caps=-net_admin",
            python,
            "-m",
            "natobs",
            "accounting",
            "install",
        ],
        check=False,
    )
    assert (done.returncode, "CAP_NET_ADMIN" in done.stderr) == (1, True)


def test_byte_accounting_only_when_asked(nat: Host) -> None:
    switch = ["sysctl", "-n", "net.netfilter.nf_conntrack_acct"]
    nat.run(["sysctl", "-q", "-w", "net.netfilter.nf_conntrack_acct=0"])
    accounting(nat, "install")
    assert nat.run(switch).stdout == "0\n"
    assert "net.netfilter.nf_conntrack_acct         0: packets and bytes of single" in accounting(nat, "status").stdout
    assert "net.netfilter.nf_conntrack_acct is 1" in accounting(nat, "install", "--enable-acct").stdout
    assert nat.run(switch).stdout == "1\n"
