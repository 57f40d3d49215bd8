import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.probes.model import Clock, Reason
from natobs.wire import asking
from natobs.wire.asking import Probe, Reply, Request, Status

V4 = st.binary(min_size=4, max_size=4).map(lambda packed: socket.inet_ntop(socket.AF_INET, packed))
V6 = st.binary(min_size=16, max_size=16).filter(lambda packed: packed[:12] != bytes(10) + b"\xff\xff")
ADDRESSES = st.one_of(V4, V6.map(lambda packed: socket.inet_ntop(socket.AF_INET6, packed)))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    kind = draw(st.sampled_from(asking.KINDS))
    return Request(
        draw(st.integers(0, 2**64 - 1)),
        Probe(
            kind,
            draw(ADDRESSES),
            0 if kind == "icmp" else draw(st.integers(1, 65535)),
            draw(st.integers(1, asking.LONGEST_MILLISECONDS)),
            0 if kind == "tcp" else draw(st.integers(0, asking.LARGEST)),
            draw(st.integers(0, 63)),
        ),
    )


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    byte = st.integers(0, 255)
    status = draw(st.sampled_from(Status))
    whys = {Status.FAILED: asking.REASONS, Status.REFUSED: asking.REFUSALS, Status.BUSY: asking.LOADS}
    why = draw(st.sampled_from(whys[status])) if status in whys else ""
    clock = draw(st.sampled_from(("", *asking.CLOCKS)))
    rtt = draw(st.integers(0, 2**64 - 1)) if clock and not why else 0
    return Reply(draw(st.integers(0, 2**64 - 1)), status, why, rtt, clock, draw(byte), (draw(byte), draw(byte)))


@given(requests())
def test_a_request_survives_and_is_as_long_as_its_probe(request: Request) -> None:
    data = asking.encode_request(request)
    assert asking.decode_request(data) == request
    assert len(data) >= max(request.probe.payload, 2 * asking.REPLY_SIZE)


@given(replies())
def test_a_reply_survives_and_is_shorter_than_any_request(reply: Reply) -> None:
    data = asking.encode_reply(reply)
    assert asking.decode_reply(data) == reply
    assert len(data) == asking.REPLY_SIZE < asking.SHORTEST


def test_the_layout_is_that_of_the_decision() -> None:
    data = asking.encode_request(Request(0x0102030405060708, Probe("udp", "198.51.100.1", 862, 300, 100, 46)))
    assert data[:8] == b"nObA\x01\x01\x02\x00"
    assert data[8:16] == bytes(range(1, 9))
    assert data[16:32] == socket.inet_pton(socket.AF_INET6, "::ffff:198.51.100.1")
    assert struct.unpack(">HHHBB", data[32:40]) == (862, 300, 100, 46, 0)
    assert data[40:] == bytes(60)
    reply = asking.encode_reply(Reply(7, Status.MEASURED, "", 123_456, "tcp_info", 3, (11, 1)))
    assert reply[:8] == b"nObA\x01\x02\x01\x00"
    assert struct.unpack(">QBBBB4sQ", reply[8:]) == (7, 3, 3, 11, 1, bytes(4), 123_456)


def test_every_reason_and_clock_of_a_probe_has_its_code() -> None:
    assert {reason.value for reason in Reason} == set(asking.REASONS)
    assert {clock.value for clock in Clock} == set(asking.CLOCKS)


def test_codes_are_never_given_another_meaning() -> None:
    failed = asking.encode_reply(Reply(0, Status.FAILED, "timeout"))
    refused = asking.encode_reply(Reply(0, Status.REFUSED, "target"))
    busy = asking.encode_reply(Reply(0, Status.BUSY, "in_flight"))
    assert [(data[6], data[7]) for data in (failed, refused, busy)] == [(2, 6), (3, 1), (4, 2)]


@given(requests(), st.data())
def test_a_truncated_request_is_refused(request: Request, data: st.DataObject) -> None:
    whole = asking.encode_request(request)
    with pytest.raises(FormatError):
        asking.decode_request(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(FormatError):
        asking.decode_request(whole + bytes(data.draw(st.integers(1, 2000))))


@given(requests(), st.data())
def test_a_mutated_request_is_refused_or_another_good_one(request: Request, data: st.DataObject) -> None:
    changed = bytearray(asking.encode_request(request))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = asking.decode_request(bytes(changed))
    except FormatError:
        return
    assert asking.encode_request(found) == bytes(changed)


@given(replies(), st.data())
def test_a_mutated_or_truncated_reply_is_refused_or_another_good_one(reply: Reply, data: st.DataObject) -> None:
    whole = bytearray(asking.encode_reply(reply))
    with pytest.raises(FormatError):
        asking.decode_reply(bytes(whole[: data.draw(st.integers(0, len(whole) - 1))]))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = asking.decode_reply(bytes(whole))
    except FormatError:
        return
    assert asking.encode_reply(found) == bytes(whole)


@given(st.binary(max_size=1600))
def test_anything_else_is_refused(data: bytes) -> None:
    for decode in (asking.decode_request, asking.decode_reply):
        with pytest.raises(FormatError):
            decode(data)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 0), (4, 2), (5, 2), (6, 0), (6, 4), (7, 1), (34, 4), (39, 1), (38, 64), (37, 200), (40, 1), (63, 1)],
)
def test_what_a_request_must_not_have(offset: int, value: int) -> None:
    data = bytearray(asking.encode_request(Request(1, Probe("udp", "192.0.2.1", 862, 300))))
    assert asking.decode_request(bytes(data)).nonce == 1
    data[offset] = value
    with pytest.raises(FormatError):
        asking.decode_request(bytes(data))
