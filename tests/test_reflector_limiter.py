"""Rates for each source and for all, and the bound of what is remembered."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.probes.reflector.limiter import SOURCES, Limiter
from natobs.probes.reflector.tally import Drop


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(limiter: Limiter, host: str, tries: int) -> int:
    return sum(limiter.admit(host) is None for _ in range(tries))


def test_a_source_has_a_second_of_its_rate_at_once_and_then_its_rate() -> None:
    clock = Clock()
    limiter = Limiter(30, 1000, clock=clock)
    assert admitted(limiter, "192.0.2.1", 100) == 30
    assert limiter.admit("192.0.2.1") is Drop.SOURCE_RATE
    clock.now += 0.5
    assert admitted(limiter, "192.0.2.1", 100) == 15
    clock.now += 60
    assert admitted(limiter, "192.0.2.1", 100) == 30


def test_one_source_does_not_take_from_another_nor_from_the_common_rate() -> None:
    limiter = Limiter(10, 25, clock=Clock())
    assert admitted(limiter, "192.0.2.1", 100_000) == 10
    assert admitted(limiter, "192.0.2.2", 10) == 10
    assert admitted(limiter, "192.0.2.3", 10) == 5
    assert limiter.admit("192.0.2.4") is Drop.TOTAL_RATE


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2300::1", "2001:db8:1:23ff::2", True),
        ("2001:db8:1:2300::1", "2001:db8:1:2400::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_sources_are_ipv4_addresses_and_ipv6_56s(first: str, second: str, *, shared: bool) -> None:
    limiter = Limiter(1, 1000, clock=Clock())
    assert limiter.admit(first) is None
    assert (limiter.admit(second) is Drop.SOURCE_RATE) == shared


def test_large_things_cost_a_token_for_each_1500_bytes_and_are_paid_for_afterwards() -> None:
    clock = Clock()
    limiter = Limiter(10, 1000, clock=clock)
    assert limiter.admit("192.0.2.1", 60_000) is None  # 41 tokens
    clock.now += 3.1
    assert limiter.admit("192.0.2.1") is Drop.SOURCE_RATE
    clock.now += 0.2
    assert limiter.admit("192.0.2.1") is None


def test_the_source_heard_least_recently_is_forgotten_and_a_busy_one_is_not() -> None:
    limiter = Limiter(2, 1e9, sources=100, clock=Clock())
    assert admitted(limiter, "192.0.2.1", 5) == 2
    for number in range(1000):
        limiter.admit(f"10.0.{number // 256}.{number % 256}")
        assert limiter.admit("192.0.2.1") is Drop.SOURCE_RATE
    assert limiter.sources == 100


def test_the_table_of_forged_sources_is_bounded() -> None:
    limiter = Limiter(10, 1e9)
    tracemalloc.start()
    for number in range(SOURCES + 5000):
        limiter.admit(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    used, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert limiter.sources == SOURCES
    assert used < 20e6


@given(
    st.floats(0.2, 1000),
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1400)), max_size=200),
)
def test_never_more_than_the_rate_and_one_burst(rate: float, steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    limiter = Limiter(rate, 1e9, clock=clock)
    passed = 0
    for pause, size in steps:
        clock.now += pause
        passed += limiter.admit("192.0.2.1", size) is None
    assert passed <= rate * (clock.now - 1000) + max(rate, 1) + 1
