from hypothesis import given
from hypothesis import strategies as st

from natobs.wire import stamp, stun, token


def test_tokens_are_of_one_size_and_all_different() -> None:
    tokens = token.Tokens()
    given_out = [tokens.next() for _ in range(1000)]
    assert len(set(given_out)) == 1000
    assert all(len(one) == token.SIZE and one.startswith(token.MAGIC) for one in given_out)


def test_a_token_is_found_in_each_direction_of_each_kind() -> None:
    mark = token.Tokens().next()
    request = stamp.encode_request(1, 2, mark, 200)
    assert token.in_udp(request) == mark
    assert token.in_udp(stamp.encode_reply(stamp.decode_request(request), 3, 4)) == mark
    transaction = bytes(range(12))
    question = stun.encode_request(transaction)
    assert token.in_udp(question) == transaction[:8]
    assert token.in_udp(stun.encode_response(stun.decode_request(question), "192.0.2.1", 1)) == transaction[:8]
    assert token.in_echo(mark + b"and more") == mark


@given(st.binary(max_size=80))
def test_other_payloads_have_none_or_a_whole_one(payload: bytes) -> None:
    for found in (token.in_udp(payload), token.in_echo(payload)):
        assert found is None or (len(found) == token.SIZE and found in payload)
    assert token.in_udp(stamp.encode_request(1, 2)) is None
