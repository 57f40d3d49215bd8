"""The lab's DNS: answers that a resolver understands, and nothing for what is no question."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.lab.servers import dns_answer, who
from natobs.lab.users import query


def test_an_a_question_gets_the_server_s_own_address() -> None:
    answer = dns_answer(query("www.example", 4711), "198.51.100.3")
    assert answer is not None
    identity, flags, questions, answers, *_ = struct.unpack_from("!6H", answer)
    assert (identity, questions, answers) == (4711, 1, 1)
    assert flags & 0x8000  # a response
    assert flags & 15 == 0
    assert answer.endswith(struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton("198.51.100.3"))


def test_an_a_question_to_an_ipv6_server_is_answered_empty() -> None:
    answer = dns_answer(query("www.example", 1), "2001:db8:51::1")
    assert answer is not None
    assert struct.unpack_from("!6H", answer)[3] == 0
    assert answer[3] & 15 == 0


def test_an_aaaa_question_gets_the_server_s_own_address() -> None:
    question = query("www.example", 1)[:-4] + struct.pack("!HH", 28, 1)
    answer = dns_answer(question, "2001:db8:51::1")
    assert answer is not None
    assert answer.endswith(socket.inet_pton(socket.AF_INET6, "2001:db8:51::1"))


def test_a_missing_name_is_nxdomain() -> None:
    answer = dns_answer(query("missing.example", 1), "198.51.100.3")
    assert answer is not None
    assert answer[3] & 15 == 3
    assert struct.unpack_from("!6H", answer)[3] == 0


@pytest.mark.parametrize("cut", [0, 11, 13, 20, 27])
def test_a_truncated_question_gets_no_answer(cut: int) -> None:
    assert dns_answer(query("www.example", 1)[:cut], "198.51.100.3") is None


def test_a_response_gets_no_answer() -> None:
    answer = dns_answer(query("www.example", 1), "198.51.100.3")
    assert answer is not None
    assert dns_answer(answer, "198.51.100.3") is None


@given(st.binary(max_size=200))
def test_whatever_comes_is_answered_or_ignored(data: bytes) -> None:
    answer = dns_answer(data, "198.51.100.3")
    assert answer is None or answer[:2] == data[:2]


def test_who_is_one_line_of_json() -> None:
    assert who(("203.0.113.10", 40000), ("198.51.100.1", 80, 0, 0)) == (
        b'{"peer": "203.0.113.10", "port": 40000, "local": "198.51.100.1", "local_port": 80}\n'
    )
