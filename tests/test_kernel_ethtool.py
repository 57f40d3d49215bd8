import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import ethtool
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Ethtool, EthtoolTopic
from tests.fakes import FakeMachine


def settings(megabits: int) -> bytes:
    """struct ethtool_cmd of include/uapi/linux/ethtool.h."""
    speed, speed_hi = megabits & 0xFFFF, megabits >> 16
    return struct.pack("=IIIHBBBBBBIIHBBIII", 1, 0, 0, speed, 1, 0, 0, 0, 0, 0, 0, 0, speed_hi, 0, 0, 0, 0, 0)


def driver(name: str) -> bytes:
    """struct ethtool_drvinfo."""
    return struct.pack("=I32s32s32s32s32s12sIIIII", 3, name.encode(), b"1.0", b"", b"0000:00:05.0", b"", b"", *[0] * 5)


def names(*texts: str) -> bytes:
    """struct ethtool_gstrings."""
    return struct.pack("=III", 0x1B, 1, len(texts)) + b"".join(text.encode().ljust(32, b"\0") for text in texts)


def values(*numbers: int) -> bytes:
    """struct ethtool_stats."""
    return struct.pack(f"=II{len(numbers)}Q", 0x1D, len(numbers), *numbers)


def test_structures_have_the_sizes_of_the_kernel() -> None:
    assert (len(settings(0)), len(driver("x"))) == (44, 196)


@pytest.mark.parametrize(
    ("megabits", "speed"),
    [
        (10, 10_000_000),
        (100_000, 100_000_000_000),
        (400_000, 400_000_000_000),
        (0, None),
        (0xFFFF, None),
        (0xFFFFFFFF, None),
    ],
)
def test_speed(megabits: int, speed: int | None) -> None:
    assert ethtool.parse_speed(settings(megabits)) == speed


def test_driver_names_and_values() -> None:
    assert ethtool.parse_driver(driver("hv_netvsc")) == "hv_netvsc"
    assert ethtool.parse_names(names("a", "b" * 32)) == ("a", "b" * 32)
    assert ethtool.parse_names(names("a") + b"more room than was needed") == ("a",)
    assert ethtool.parse_values(values(1, (1 << 64) - 1)) == (1, (1 << 64) - 1)
    assert ethtool.parse_values(values() + bytes(99)) == ()


PARSERS = (ethtool.parse_speed, ethtool.parse_driver, ethtool.parse_names, ethtool.parse_values)
VALID = (settings(10_000), driver("ena"), names("a", "b"), values(1, 2))


@pytest.mark.parametrize("place", range(4))
def test_another_structure_or_a_part_of_it_is_a_format_error(place: int) -> None:
    parse, valid = PARSERS[place], VALID[place]
    for wrong in (b"", valid[: len(valid) // 2], b"\x77" + valid[1:], VALID[place - 1]):
        if parse in (ethtool.parse_speed, ethtool.parse_driver) and wrong == valid[: len(valid) // 2]:
            continue  # only what stands in the first half is read
        with pytest.raises(FormatError):
            parse(wrong)


@given(st.binary(max_size=120), st.integers(0, 240), st.integers(0, 240), st.sampled_from(VALID))
def test_hostile_input_is_a_format_error_or_nothing_else(junk: bytes, start: int, end: int, valid: bytes) -> None:
    for data in (junk, valid[:start], valid[:start] + junk + valid[end:]):
        for parse in PARSERS:
            try:
                parse(data)
            except FormatError:
                continue


def test_what_is_announced_and_not_there_is_no_endless_work() -> None:
    with pytest.raises(FormatError):
        ethtool.parse_names(struct.pack("=III", 0x1B, 1, 0xFFFFFFFF))
    with pytest.raises(FormatError):
        ethtool.parse_values(struct.pack("=II", 0x1D, 0xFFFFFFFF))


def test_questions_are_asked_by_device_and_topic() -> None:
    machine = FakeMachine(
        {
            Ethtool("eth0", topic).key: answer
            for topic, answer in zip(
                (EthtoolTopic.SETTINGS, EthtoolTopic.DRIVER, EthtoolTopic.STRINGS, EthtoolTopic.STATS),
                VALID,
                strict=True,
            )
        }
    )
    assert ethtool.read_speed(machine, "eth0") == 10_000_000_000
    assert ethtool.read_driver(machine, "eth0") == "ena"
    assert dict(zip(ethtool.read_names(machine, "eth0"), ethtool.read_values(machine, "eth0"), strict=True)) == {
        "a": 1,
        "b": 2,
    }


def test_loopback_has_nothing_of_the_kind() -> None:
    machine = LiveMachine()
    for read in (ethtool.read_speed, ethtool.read_driver, ethtool.read_names, ethtool.read_values):
        with pytest.raises(UnavailableError) as caught:
            read(machine, "lo")
        assert caught.value.reason == "unsupported"
        with pytest.raises(UnavailableError) as caught:
            read(machine, "natobs-none")
        assert caught.value.reason == "absent"
    machine.close()
