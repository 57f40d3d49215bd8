import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.wire import stun
from tests.mutate import attempt, damaged

# RFC 5769, sections 2.2 and 2.3: sample responses, with the integrity attribute that we pass over.
SAMPLE_TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
SAMPLE_V4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
SAMPLE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)

TRANSACTION = bytes(range(12))
REQUEST = stun.encode_request(TRANSACTION)
ASKED = stun.decode_request(REQUEST)
ANSWER_V4 = stun.encode_response(ASKED, "203.0.113.10", 40000)
ANSWER_V6 = stun.encode_response(ASKED, "2001:db8::1", 40000)


def message(kind: int, *attributes: tuple[int, bytes], cookie: int = 0x2112A442) -> bytes:
    body = b"".join(struct.pack(">HH", name, len(value)) + value + bytes(-len(value) % 4) for name, value in attributes)
    return struct.pack(">HHI", kind, len(body), cookie) + TRANSACTION + body


@pytest.mark.parametrize(
    ("sample", "address"), [(SAMPLE_V4, "192.0.2.1"), (SAMPLE_V6, "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_the_samples_of_rfc_5769_are_read(sample: bytes, address: str) -> None:
    assert stun.decode_response(sample) == stun.Response(SAMPLE_TRANSACTION, (address, 32853))


def test_old_servers_send_a_plain_mapped_address() -> None:
    plain = (0x0001, bytes.fromhex("00011234c0000201"))
    assert stun.decode_response(message(0x0101, plain)).mapped == ("192.0.2.1", 0x1234)
    both = message(0x0101, plain, (0x0020, bytes.fromhex("0001a147e112a643")))
    assert stun.decode_response(both).mapped == ("192.0.2.1", 32853)


def test_an_error_response_has_its_code_and_phrase() -> None:
    response = stun.decode_response(message(0x0111, (0x0009, b"\0\0\x04\x14Unknown")))
    assert (response.mapped, response.error, response.phrase) == (None, 420, "Unknown")
    asked = stun.decode_request(message(0x0001, (0x0026, b"abcd"), (0x8022, b"x"), (0x0003, b"\0\0\0\6")))
    assert asked.unknown == (0x0026, 0x0003)
    refusal = stun.encode_unknown(asked)
    assert stun.decode_response(refusal).error == 420
    assert refusal[-8:] == bytes.fromhex("000a000400260003")


@pytest.mark.parametrize("answer", [ANSWER_V4, ANSWER_V6, stun.encode_unknown(ASKED)])
def test_no_answer_is_longer_than_a_request_of_ours(answer: bytes) -> None:
    assert len(answer) <= len(REQUEST) == stun.REQUEST_SIZE


@given(
    st.binary(min_size=12, max_size=12),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)),
    st.integers(0, 65535),
    st.integers(0, 65504),
)
def test_what_is_written_is_read(transaction: bytes, address: object, port: int, size: int) -> None:
    request = stun.encode_request(transaction, size)
    assert size <= len(request) <= max(40, size + 3)
    asked = stun.decode_request(request)
    assert (asked.transaction, asked.fingerprint, asked.unknown, asked.size) == (transaction, True, (), len(request))
    answer = stun.decode_response(stun.encode_response(asked, str(address), port))
    assert answer.transaction == transaction
    assert answer.mapped is not None
    assert answer.mapped[1] == port
    assert type(address)(answer.mapped[0]) == address  # type: ignore[call-arg]  # IPv4Address or IPv6Address


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ANSWER_V4[:19],
        ANSWER_V4[:-4],
        ANSWER_V4 + b"\0\0\0\0",
        ANSWER_V4[:-1] + bytes([ANSWER_V4[-1] ^ 1]),  # fingerprint
        REQUEST,
        message(0x0101),
        message(0x0101, (0x0020, b"\0\1\0\0abcd"), cookie=1),
        message(0x0101, (0x0020, b"\0\3\0\0abcd")),
        message(0x0101, (0x0020, b"\0\2\0\0abcd")),
        message(0x0101, (0x0020, b"")),
        message(0x0101, (0x8028, b"abcd"), (0x0020, b"\0\1\0\0abcd")),
        message(0x0111, (0x0009, b"\0\0")),
        message(0x0101)[:2] + b"\0\4" + message(0x0101)[4:] + b"\0\1\0\x09",
        message(0x0101)[:2] + b"\0\2" + message(0x0101)[4:] + b"\0\1",
    ],
)
def test_what_is_no_response_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        stun.decode_response(data)


def test_a_response_for_no_address_is_refused() -> None:
    with pytest.raises(FormatError):
        stun.encode_response(ASKED, "nobody", 1)


@given(st.one_of(st.binary(max_size=120), damaged(REQUEST, ANSWER_V4, ANSWER_V6, SAMPLE_V4, SAMPLE_V6)))
def test_hostile_input_is_a_format_error_or_nothing_else(data: bytes) -> None:
    attempt(stun.decode_response, data)
    request = attempt(stun.decode_request, data)
    if request is not None:
        assert len(stun.encode_response(request, "2001:db8::1", 1)) <= 52
        assert len(stun.encode_unknown(request)) <= 48
