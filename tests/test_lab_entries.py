"""Synthetic conntrack entries: as many as asked for, all different."""

import re
from collections import Counter

import pytest

from natobs.errors import LabError
from natobs.lab import entries, topology

LAB = topology.two_armed()


def test_entries_are_distinct_across_destinations() -> None:
    made = list(entries.lines(LAB, 70_000))
    assert len(set(made)) == 70_000
    by_destination = Counter(re.findall(r" -d (\S+)", line)[0] for line in made)
    assert len(by_destination) == 150
    assert max(by_destination.values()) - min(by_destination.values()) == 1


def test_kinds_differ_in_status_and_state() -> None:
    (assured,) = entries.lines(LAB, 1, seconds=11)
    (one_way,) = entries.lines(LAB, 1, "one-way")
    assert assured == (
        "-A -t 11 -u SEEN_REPLY,ASSURED -s 10.0.1.11 -d 198.51.100.100 -r 198.51.100.100 -n 203.0.113.10"
        " -p tcp -m 7102818 --dport 443 --reply-port-src 443 --state ESTABLISHED --sport 1024 --reply-port-dst 1024\n"
    )
    assert " -u UNSET " in one_way
    assert " --state SYN_SENT " in one_way


def test_no_entry_concerns_a_server_or_the_dead_address() -> None:
    used = {f"198.51.100.{number}" for number in entries._ADDRESSES}
    assert not used & {*topology.Topology(name="x", subnets=LAB.subnets, nat=LAB.nat, servers=99).server_addresses(4)}
    assert LAB.dead_address(4) not in used
    assert entries.MOST == 150 * 64_512


@pytest.mark.parametrize("count", [-1, entries.MOST + 1])
def test_impossible_numbers_are_refused(count: int) -> None:
    with pytest.raises(LabError, match="are possible"):
        entries.lines(LAB, count)


def test_ports_are_held_on_every_snat_address_by_a_host_that_is_not_there() -> None:
    pool = topology.pool()
    holding = entries.holding(pool, "198.51.100.7", 8443, range(2000, 2003))
    made = [entries.held_line(connection, outside) for connection, outside in holding]
    assert len(set(made)) == 4 * 3
    assert {re.findall(r" -n (\S+)", line)[0] for line in made} == set(pool.snat_addresses(4))
    assert all(" -d 198.51.100.7 " in line and " --dport 8443 " in line for line in made)
    ghosts = {re.findall(r" -s (\S+)", line)[0] for line in made}
    assert len(ghosts) == 4
    assert not ghosts & {pool.client_address(client, 4) for client in pool.clients}
