import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import kmsg
from tests.mutate import attempt, damaged

PLAIN = b"4,1234,5678901234,-;nf_conntrack: nf_conntrack: table full, dropping packet\n"
WITH_KEYS = b"6,339,5140900,-,caller=T1;NET: Registered PF_INET6 protocol family\n SUBSYSTEM=pci\n DEVICE=+pci:0000\n"
FROM_USER_SPACE = b"30,7,99,-;systemd[1]: nf_conntrack: table full, dropping packet\n"


def test_the_fields_of_a_record() -> None:
    assert kmsg.parse(PLAIN) == kmsg.Record(
        level=4,
        facility=0,
        sequence=1234,
        seconds=5678.901234,
        text="nf_conntrack: nf_conntrack: table full, dropping packet",
    )


def test_keys_and_further_fields_of_the_head_are_passed_over() -> None:
    record = kmsg.parse(WITH_KEYS)
    assert (record.sequence, record.text) == (339, "NET: Registered PF_INET6 protocol family")


def test_user_space_shows_by_its_facility() -> None:
    record = kmsg.parse(FROM_USER_SPACE)
    assert (record.level, record.facility) == (6, 3)


def test_a_text_may_hold_semicolons_and_escapes() -> None:
    assert kmsg.parse(rb"3,1,2,-;a;b\x0ac" + b"\n").text == r"a;b\x0ac"


@given(st.binary(max_size=3000))
def test_no_text_is_long_or_unprintable(text: bytes) -> None:
    found = kmsg.parse(b"3,1,2,-;" + text).text
    assert len(found) <= kmsg.TEXT_LIMIT
    assert len(found.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in found)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"text", b"1,2,3;x", b"a,2,3,-;x", b"1,2,3,-", b"1,2,3,\n-;x", b"-1,2,3,-;x"]
)
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(FormatError):
        kmsg.parse(data)


@given(st.binary(max_size=80) | damaged(PLAIN, WITH_KEYS, FROM_USER_SPACE))
def test_damaged_records_raise_only_format_errors(data: bytes) -> None:
    found = attempt(kmsg.parse, data)
    assert found is None or (0 <= found.level <= 7 and found.facility >= 0)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("net_ratelimit: 12 callbacks suppressed", 12),
        ("__nf_conntrack_alloc: 3 callbacks suppressed", 3),
        ("nf_conntrack: table full, dropping packet", 0),
        ("callbacks suppressed", 0),
    ],
)
def test_how_many_messages_were_withheld(text: str, count: int) -> None:
    assert kmsg.suppressed(text) == count
