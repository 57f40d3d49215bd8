"""The filters, run by an interpreter of classic BPF, against what each event was made to say."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel.conntrack_filter import PROGRAMS, Death
from natobs.kernel.netlink import attribute
from tests import bpf
from tests.conntrack_messages import (
    ANSWERED,
    ASSURED,
    DELETED_UDP6,
    ESTABLISHED,
    EXPIRED_TCP,
    FLUSHED_TCP,
    ICMP,
    SCTP,
    TCP,
    TIME_WAIT,
    UDP,
    Event,
)
from tests.mutate import damaged

BY_REQUEST, BY_KERNEL = Death.LOST_BY_REQUEST, Death.LOST_BY_KERNEL


def counted(datagram: bytes) -> set[Death]:
    """Give the kinds of death that an event is counted as."""
    results = {death: bpf.run(datagram, program, {})[0] for death, program in PROGRAMS.items()}
    assert set(results.values()) <= {0, 0xFFFF}
    return {death for death, size in results.items() if size}


def expected(event: Event) -> set[Death]:
    """The same, said plainly."""
    kinds = {{TCP: Death.ANY_TCP, UDP: Death.ANY_UDP}.get(event.proto, Death.ANY_OTHER)}
    if event.status != ASSURED or (event.proto == TCP and event.state != ESTABLISHED):
        return kinds
    if event.port:
        return kinds | {BY_REQUEST}
    if event.left is not None:
        return kinds | {BY_KERNEL}
    idle = {TCP: Death.IDLE_TCP, UDP: Death.IDLE_UDP}.get(event.proto)
    return kinds | ({idle} if idle else set())


EVENTS = st.builds(
    Event,
    proto=st.sampled_from([TCP, UDP, ICMP, SCTP]),
    port=st.sampled_from([0, 1, 28862, 0xFFFFFFFF]),
    status=st.sampled_from([None, ASSURED, ANSWERED]),
    left=st.sampled_from([None, 1, 432000]),
    state=st.sampled_from([None, 0, 1, ESTABLISHED, TIME_WAIT]),
    ipv6=st.booleans(),
)


@pytest.mark.parametrize(
    ("datagram", "kinds"),
    [
        (FLUSHED_TCP, {Death.ANY_TCP, BY_REQUEST}),
        (EXPIRED_TCP, {Death.ANY_TCP, Death.IDLE_TCP}),
        (DELETED_UDP6, {Death.ANY_UDP, BY_REQUEST}),
    ],
)
def test_recorded_events(datagram: bytes, kinds: set[Death]) -> None:
    assert counted(datagram) == kinds


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (Event(), {Death.ANY_TCP, Death.IDLE_TCP}),
        (Event(state=TIME_WAIT), {Death.ANY_TCP}),
        (Event(state=TIME_WAIT, port=77, left=100), {Death.ANY_TCP}),
        (Event(status=ANSWERED), {Death.ANY_TCP}),
        (Event(left=300), {Death.ANY_TCP, BY_KERNEL}),
        (Event(left=300, port=77), {Death.ANY_TCP, BY_REQUEST}),
        (Event(port=77), {Death.ANY_TCP, BY_REQUEST}),
        (Event(proto=UDP, state=None), {Death.ANY_UDP, Death.IDLE_UDP}),
        (Event(proto=UDP, state=None, status=ANSWERED), {Death.ANY_UDP}),
        (Event(proto=UDP, state=None, status=ANSWERED, left=20), {Death.ANY_UDP}),
        (Event(proto=UDP, state=None, left=20), {Death.ANY_UDP, BY_KERNEL}),
        (Event(proto=SCTP, state=None), {Death.ANY_OTHER}),
        (Event(proto=SCTP, state=None, left=20), {Death.ANY_OTHER, BY_KERNEL}),
        (Event(proto=ICMP, state=None, status=ANSWERED), {Death.ANY_OTHER}),
    ],
)
def test_each_way_to_die(event: Event, kinds: set[Death]) -> None:
    assert counted(event.datagram()) == expected(event) == kinds


def test_before_5_11_an_established_connection_is_neither_idle_nor_lost() -> None:
    assert counted(Event(state=None).datagram()) == {Death.ANY_TCP}
    assert counted(Event(state=None, port=77).datagram()) == {Death.ANY_TCP}


@given(
    event=EVENTS,
    order=st.permutations(range(6)),
    extra=st.lists(st.builds(attribute, st.integers(30, 99), st.binary(max_size=40)), max_size=4),
)
def test_neither_order_nor_unknown_attributes_matter(event: Event, order: list[int], extra: list[bytes]) -> None:
    assert counted(event.datagram()) == expected(event)
    assert counted(event.datagram(order, extra)) == expected(event)


@given(damaged(FLUSHED_TCP, EXPIRED_TCP, DELETED_UDP6))
def test_a_damaged_event_is_passed_whole_or_not_at_all(datagram: bytes) -> None:
    assert len(counted(datagram) & {Death.ANY_TCP, Death.ANY_UDP, Death.ANY_OTHER}) <= 1


def test_the_programs_are_small() -> None:
    lengths = [len(list(struct.iter_unpack("=HBBI", program))) for program in PROGRAMS.values()]
    assert max(lengths) <= 64
    assert sum(lengths) <= 220
