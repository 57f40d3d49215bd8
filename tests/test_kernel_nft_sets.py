"""The decoder of set elements against a slow, obvious one, and against what a kernel dumped."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import netlink, nft_sets
from natobs.kernel.nft_sets import Element
from tests.effort import effort
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged
from tests.nft_messages import INET, attribute, counter, expression, message, text, u32, u64

RECORDED = Path(__file__).parent / "kernel/accounting"
DUMPS = {name: (RECORDED / f"nft-set-natobs-{name}").read_bytes() for name in ("attempts4", "attempts6", "hosts4")}
NEWSETELEM = 12
KEY, FLAGS, TIMEOUT, EXPIRATION, USERDATA, EXPR, PAD, EXPRESSIONS = 1, 3, 4, 5, 6, 7, 8, 11


def slow(data: bytes) -> list[Element]:
    """One attribute after the other."""
    found: list[Element] = []
    for body in netlink.messages(data, 10 << 8 | NEWSETELEM):
        for _kind, element in netlink.attribute_list(netlink.attributes(body, 4).get(3, memoryview(b""))):
            parts = netlink.attributes(element)
            expressions = [part for kind, part in netlink.attribute_list(element) if kind == EXPR]
            for kind, part in netlink.attribute_list(element):
                if kind == EXPRESSIONS:
                    expressions += [one for _kind, one in netlink.attribute_list(part)]
            counters = []
            for one in expressions:
                words = netlink.attributes(one)
                if {1, 2} <= words.keys() and bytes(words[1]) == b"counter\0":
                    values = netlink.attributes(words[2])
                    if not {1, 2} <= values.keys() or len(values[1]) != 8 or len(values[2]) != 8:
                        raise FormatError("a counter without its two numbers")
                    counters.append((netlink.number(values[1], ">"), netlink.number(values[2], ">")))
            key = netlink.attributes(parts[KEY]).get(1) if KEY in parts else None
            if key is not None and len(counters) == 1:
                found.append((bytes(key), *counters[0]))
    return found


def element(*parts: bytes) -> bytes:
    return attribute(1, b"".join(parts))


def key(value: bytes) -> bytes:
    return attribute(KEY, attribute(1, value))


def dump(*elements: bytes) -> bytes:
    return message(NEWSETELEM, INET, text(1, "natobs"), text(2, "s"), attribute(3, b"".join(elements)))


def one_counter(octets: int, packets: int, *, pad: bool = False, turned: bool = False) -> bytes:
    padding = attribute(3, b"") if pad else b""
    values = [u64(1, octets), u64(2, packets)]
    return expression("counter", *([padding, *reversed(values)] if turned else [padding, *values]))


@st.composite
def expressions(draw: st.DrawFn) -> bytes:
    numbers = st.integers(0, 2**64 - 1)
    counted = one_counter(draw(numbers), draw(numbers), pad=draw(st.booleans()), turned=draw(st.integers(0, 9)) == 0)
    other = expression("limit", u64(1, draw(numbers)), u32(3, draw(st.integers(0, 2**32 - 1))))
    chosen = draw(st.sampled_from([[counted], [counted], [counted], [], [other], [other, counted], [counted, counted]]))
    if len(chosen) == 1 and draw(st.booleans()):
        return attribute(EXPR, chosen[0][4:])
    return attribute(EXPRESSIONS, b"".join(chosen)) if chosen else b""


@st.composite
def elements(draw: st.DrawFn) -> list[bytes]:
    """Runs of elements, each run laid out alike and unlike the one before."""
    found: list[bytes] = []
    for _run in range(draw(st.integers(1, 6))):
        width = draw(st.sampled_from([4, 12, 16, 24, 3]))
        optional = draw(st.lists(st.sampled_from([FLAGS, TIMEOUT, EXPIRATION, USERDATA, PAD, 77]), max_size=4))
        order = draw(st.permutations(range(len(optional) + 2)))
        nested = draw(st.sampled_from([0, 0x8000]))
        body = draw(expressions())
        for _number in range(draw(st.integers(1, 5))):
            parts = [key(draw(st.binary(min_size=width, max_size=width)))]
            fresh = draw(st.booleans())
            parts.append(draw(expressions()) if fresh and draw(st.integers(0, 4)) == 0 else body)
            for kind in optional:
                sized = 4 if kind == FLAGS else 8
                parts.append(attribute(kind, draw(st.binary(min_size=sized, max_size=sized))))
            found.append(attribute(1 | nested, b"".join(parts[place] for place in order)))
    return found


@st.composite
def dumps(draw: st.DrawFn) -> bytes:
    every = draw(elements())
    cut = draw(st.integers(0, len(every)))
    return dump(*every[:cut]) + dump(*every[cut:])


@given(dumps())
@settings(max_examples=150, deadline=None)
def test_it_equals_a_slow_decoder(data: bytes) -> None:
    assert nft_sets.parse(data) == slow(data)


@pytest.mark.parametrize("name", DUMPS)
def test_what_a_kernel_dumped(name: str) -> None:
    found = nft_sets.parse(DUMPS[name])
    assert found == slow(DUMPS[name])
    assert len(found) == {"attempts4": 10, "attempts6": 10, "hosts4": 2}[name]
    assert {len(key) for key, _bytes, _packets in found} == {{"attempts4": 12, "attempts6": 24, "hosts4": 4}[name]}


@given(st.one_of(damaged(*DUMPS.values()), dumps().flatmap(damaged)))
@settings(max_examples=250, deadline=None)
def test_damaged_dumps_raise_one_error_or_are_read_alike(data: bytes) -> None:
    fast = attempt(nft_sets.parse, data)
    careful = attempt(slow, data)
    if fast is not None and careful is not None:
        assert fast == careful


@pytest.mark.parametrize("name", DUMPS)
def test_truncated_at_every_byte(name: str) -> None:
    data = DUMPS[name]
    whole = nft_sets.parse(data)
    for end in range(len(data)):
        found = attempt(nft_sets.parse, data[:end])
        assert found is None or found == whole[: len(found)]


@pytest.mark.parametrize(
    "broken",
    [
        struct.pack("=HH", 3, 1),
        struct.pack("=HH", 400, 1),
        element(struct.pack("=HH", 9, KEY)),
        element(attribute(KEY, struct.pack("=HH", 99, 1))),
        element(key(b"abcd"), attribute(EXPR, text(1, "counter") + attribute(2, u64(1, 4)))),
        element(key(b"abcd"), attribute(EXPR, text(1, "counter") + attribute(2, u32(1, 4) + u64(2, 1)))),
    ],
)
def test_an_element_that_contradicts_itself(broken: bytes) -> None:
    with pytest.raises(FormatError, match="nftables"):
        nft_sets.parse(dump(element(key(b"1234"), attribute(EXPR, counter(1, 2)[4:])), broken))


def test_other_messages_are_passed_over() -> None:
    data = message(9, INET, text(1, "natobs")) + dump(element(key(b"abcd"), attribute(EXPR, counter(3, 200)[4:])))
    assert nft_sets.parse(data) == [(b"abcd", 200, 3)]
    assert nft_sets.parse(b"") == nft_sets.parse(dump()) == []


def test_a_set_is_asked_for_by_its_table_and_name() -> None:
    wanted = nft_sets.query(INET, "natobs", "attempts4")
    machine = FakeMachine({wanted.key: DUMPS["attempts4"]})
    assert nft_sets.read(machine, wanted) == nft_sets.parse(DUMPS["attempts4"])
    assert machine.asked == ["netlink/nft-set-natobs-attempts4"]
    parts = netlink.attributes(memoryview(wanted.payload), 4)
    assert (wanted.payload[0], netlink.text(parts[1]), netlink.text(parts[2])) == (INET, "natobs", "attempts4")


def test_elements_of_one_layout_are_not_decoded_one_by_one() -> None:
    numbers = range(16_384)
    every = [element(key(struct.pack(">IIHxx", n, 6, 443)), attribute(EXPR, counter(n, 40 * n)[4:])) for n in numbers]
    data = b"".join(dump(*every[start : start + 300]) for start in range(0, len(every), 300))
    found, spent = effort(lambda: nft_sets.parse(data))
    _obvious, one_by_one = effort(lambda: slow(data))
    assert [(int.from_bytes(key[:4], "big"), packets) for key, _octets, packets in found] == [(n, n) for n in numbers]
    assert spent < 10 * len(numbers)  # a message of 300 elements takes what one takes, and a little
    assert one_by_one > 500 * len(numbers)
