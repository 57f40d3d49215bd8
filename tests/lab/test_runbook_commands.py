"""What runbooks have somebody type, typed on a NAT: every command that a lab can take ends well."""

import shlex
from collections.abc import Iterator

import pytest

from natobs.errors import LabError
from natobs.lab import topology, traffic
from natobs.lab.lab import Host, Lab
from tests.runbook_commands import commands
from tests.test_runbooks import WRITTEN

pytestmark = pytest.mark.lab

ON_THE_NAT = {"conntrack", "ip", "iptables", "nft", "tc"}
"""Programs whose commands are typed, all of them but those below."""
NOT_TYPED = {
    "conntrack -F": "what runbooks warn of, with the next ones",
    "nft flush ruleset": "",
    "ip link set dev eth0 down": "",
    "nft delete rule inet filter forward handle 12": "an example of a handle",
    "ip -6": "names an option, in a sentence",
    "tc qdisc replace dev eth0 root fq_codel": "not every kernel that builds labs has it",
}
ENDLESS = {"nft monitor trace", "ip monitor route"}
"""They run until somebody ends them."""
FLOW = ("conntrack -I -p tcp -s 10.0.1.7 -d 198.51.100.1 --sport 4000 --dport 443 --state ESTABLISHED -t 60",)
BEFORE = {
    "ip route add default via 203.0.113.1 dev eth0": ("ip route del default",),
    "conntrack -D -s 10.0.1.7": FLOW,
    "conntrack -D -s 10.0.1.7 -d 198.51.100.1": FLOW,
    "conntrack -D -p tcp --state ESTABLISHED -s 10.0.1.7": FLOW,
}
"""What must have happened for a command to find something."""
NATOBS = ("natobs census --by", "natobs census --top", "natobs accounting")
"""The beginnings of those of natobs' own that look at the NAT, beside those below."""


def typed() -> list[tuple[str, ...]]:
    """Every command of the runbooks that a lab can take, each once."""
    found = dict.fromkeys(words for page in WRITTEN.values() for words in commands(page))
    return [
        words
        for words in found
        if (words[0] in ON_THE_NAT and len(words) > 1 and shlex.join(words) not in NOT_TYPED)
        or (shlex.join(words).startswith(NATOBS) and "--watch" not in words and "--enable-acct" not in words)
    ]


@pytest.fixture(scope="module")
def nat() -> Iterator[Host]:
    """A NAT of its own, which these commands may change."""
    with Lab(topology.two_armed("runbooks")) as lab:
        traffic.start_servers(lab)
        host = lab.host("nat")
        host.run(host.python("natobs", "accounting", "install"))
        yield host


@pytest.mark.parametrize("words", typed(), ids=shlex.join)
def test_a_command_of_the_runbooks_ends_well(nat: Host, words: tuple[str, ...]) -> None:
    line = shlex.join(words)
    for before in BEFORE.get(line, ()):
        nat.run(shlex.split(before))
    argv = nat.python(*words) if words[0] == "natobs" else list(words)
    if line in ENDLESS:
        with pytest.raises(LabError, match="did not finish"):
            nat.run(argv, timeout=0.5)
    else:
        nat.run(argv)


def test_the_lab_takes_most_of_them() -> None:
    assert len(typed()) > 50
    programs = {words[0] for words in typed()}
    assert programs == {*ON_THE_NAT, "natobs"}


@pytest.mark.parametrize(
    "line", ["nft insert rule inet filter forward ct state fresh drop", "ip route get 198.51.100.1 from nobody"]
)
def test_a_command_that_is_wrong_is_found(nat: Host, line: str) -> None:
    with pytest.raises(LabError):
        nat.run(shlex.split(line))


def test_the_answers_that_a_runbook_tells_apart(nat: Host) -> None:
    """F4's table: a good route, forwarding that is off, no route."""
    ask = shlex.split("ip route get 198.51.100.1 from 10.0.1.7 iif eth1")
    assert nat.run(ask).stdout.startswith("198.51.100.1 from 10.0.1.7 via 203.0.113.1 dev eth0")
    assert ask in [list(words) for words in commands(WRITTEN["F4"])]
    assert "198.51.100.1 from 10.0.1.7 via 203.0.113.1 dev eth0" in WRITTEN["F4"]
    nat.run(shlex.split("sysctl -q -w net.ipv4.ip_forward=0"))
    assert "No route to host" in nat.run(ask, check=False).stderr
    nat.run(shlex.split("sysctl -q -w net.ipv4.ip_forward=1"))
    nat.run(shlex.split("ip route del default"))
    assert "Network is unreachable" in nat.run(ask, check=False).stderr
    nat.run(shlex.split("ip route add default via 203.0.113.1 dev eth0"))
    for words in ("No route to host", "Network is unreachable"):
        assert f"`{words}`" in WRITTEN["F4"]
