"""What a DNS answer may cost at most, and that it is read to its end."""

import struct

import dns.message
import dns.rcode
import dns.rrset
import pytest

from natobs.probe_config import Dns, ProbeSettings
from natobs.probes.dns_question import Question
from natobs.probes.model import Reason
from tests import probing
from tests.dns_answers import A_RECORD, respond
from tests.effort import effort

LONGEST_NAME = b"\x01a" * 120 + b"\0"
HERE, THERE = b"\xc0\x0c", (0xC000 | 29 + 12).to_bytes(2, "big")
"""The name that was asked for, and the data of the first record."""


def record(kind: int, data: bytes) -> bytes:
    return HERE + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


HOSTILE: dict[str, list[bytes]] = {
    "strings": [record(16, b"\x01a" * 34)] * 100,
    "empty strings": [record(16, bytes(8000))],
    "names that point to a long one": [record(5, LONGEST_NAME), *[record(6, THERE + THERE + bytes(20))] * 99],
    "aliases of a long name": [record(5, LONGEST_NAME), *[record(5, b"\x01b" + THERE)] * 99],
    "names in one record": [record(55, b"\x04\x02\0\x04abcdabcd" + bytes(7000))],
    "every type there is": [record(47, b"\0" + b"".join(bytes([window, 32]) + b"\xff" * 32 for window in range(200)))],
}


def answer(records: list[bytes]) -> bytes:
    counts = struct.pack(">HHHH", 1, len(records), 0, 0)
    return QUERY[:2] + b"\x81\x80" + counts + QUERY[12:29] + b"".join(records)


def settings_of(kind: str) -> ProbeSettings:
    return probing.target("127.0.0.1", 53, kind="dns", dns=Dns(type=kind), expect=A_RECORD).settings


ASKED = Question.of(settings_of("A"))
QUERY = ASKED.message()


@pytest.mark.parametrize("kind", ["A", "ANY", "TXT", "SOA", "HIP"])
@pytest.mark.parametrize("shape", HOSTILE)
def test_the_worst_messages_cost_little(shape: str, kind: str) -> None:
    asked = Question.of(settings_of(kind))
    message = answer(HOSTILE[shape])
    verdict, spent = effort(lambda: asked.judge(message))
    assert verdict is not None
    assert verdict[0] is Reason.BODY, verdict  # it was read to its end
    assert spent < 8_000_000  # 5.3 million at the worst, which take 0.03 s


def test_a_message_that_is_too_long_is_not_read() -> None:
    verdict = ASKED.judge(answer([record(16, bytes(9000))]))
    assert verdict == (Reason.DNS, "malformed answer: it has 1 records in 9041 bytes; at most 100 and 8192 are read")


def test_an_extended_code_is_put_together() -> None:
    asked = dns.message.from_wire(QUERY)
    response = dns.message.make_response(asked)
    response.use_edns(0)
    response.set_rcode(dns.rcode.BADVERS)
    verdict = ASKED.judge(response.to_wire())
    assert verdict == (Reason.STATUS, "response code BADVERS, expected NOERROR")


@pytest.mark.parametrize("cut", range(1, 60))
def test_what_is_behind_the_answer_is_read_too(cut: int) -> None:
    whole = respond(QUERY)
    whole.additional.append(dns.rrset.from_text("ns.example.com.", 60, "IN", "A", "192.0.2.9"))
    wire = whole.to_wire()
    assert ASKED.judge(wire) is None
    assert ASKED.judge(wire[:-cut]) is not None
    assert ASKED.judge(wire + bytes(cut)) is not None
