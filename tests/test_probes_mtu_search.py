import random

from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.probes.mtu_search import Search

SMALLEST = 84


def walk(search: Search, path: int, lose: random.Random | None = None, chance: float = 0.0) -> tuple[int, int]:
    """Search a path of that MTU; gives rounds and packets."""
    rounds = packets = 0
    while sizes := search.next():
        rounds += 1
        packets += len(sizes)
        answered = [size for size in sizes if size <= path and not (lose and lose.random() < chance)]
        for size in answered:
            search.passed(size)
        search.lost(set(sizes) - set(answered))
        if rounds > 200 or not search.low:
            break
    return rounds, packets


@given(st.integers(SMALLEST, 9001), st.integers(SMALLEST + 1, 9001))
def test_without_loss_every_path_mtu_is_found_with_few_packets(path: int, full: int) -> None:
    search = Search(SMALLEST, full)
    rounds, packets = walk(search, path)
    assert search.settled
    assert search.low == min(path, full)
    assert search.clean == (path >= full)
    assert rounds <= 8
    assert packets <= 50


def test_what_is_common_takes_few_rounds() -> None:
    for path in (1280, 1400, 1420, 1450, 1492):
        rounds, packets = walk(Search(SMALLEST, 1500), path)
        assert rounds <= 4
        assert packets <= 24


def test_a_clean_path_takes_two_packets() -> None:
    assert walk(Search(SMALLEST, 1500), 1500) == (1, 2)


def test_what_was_found_is_verified_in_one_round() -> None:
    before = Search(SMALLEST, 1500)
    walk(before, 1383)
    again = Search(SMALLEST, 1500, before)
    assert again.next() == (SMALLEST, 1383, 1384, 1500)
    assert walk(again, 1383) == (1, 4)
    assert (again.low, again.settled) == (1383, True)


@given(st.integers(SMALLEST + 1, 1500), st.integers(SMALLEST + 1, 1500))
def test_a_path_that_has_changed_since_is_measured_anew(first: int, second: int) -> None:
    before = Search(SMALLEST, 1500)
    walk(before, first)
    again = Search(SMALLEST, 1500, before)
    walk(again, second)
    assert again.settled
    assert again.low == second


def test_what_was_found_for_another_full_size_is_forgotten() -> None:
    before = Search(SMALLEST, 1500)
    walk(before, 1400)
    assert Search(SMALLEST, 9001, before).next() == (SMALLEST, 9001)


@settings(max_examples=200)
@given(st.integers(SMALLEST, 1500), st.integers(0, 1 << 30), st.floats(0, 0.3))
def test_with_loss_no_size_is_claimed_that_does_not_pass(path: int, seed: int, chance: float) -> None:
    search = Search(SMALLEST, 1500)
    walk(search, path, random.Random(seed), chance)  # noqa: S311 - chance, not secrets
    assert search.low <= path
    assert search.low < search.high or search.clean


def test_one_loss_in_a_hundred_rarely_misleads() -> None:
    chance = random.Random(7)  # noqa: S311 - chance, not secrets
    wrong = 0
    for _ in range(300):
        search = Search(SMALLEST, 1500)
        walk(search, 1383, chance, 0.01)
        wrong += bool(search.low) and search.low != 1383
    assert wrong <= 3


def test_who_says_how_much_passes_is_asked_no_more_than_that() -> None:
    search = Search(SMALLEST, 1500)
    search.passed(SMALLEST)
    search.limit(1400)
    assert not search.awaits((1500,))
    assert 1400 in search.next()
    search.passed(1400)
    assert search.settled
    assert search.low == 1400


def test_who_says_too_much_is_not_believed() -> None:
    search = Search(SMALLEST, 1500)
    search.passed(SMALLEST)
    search.limit(1400)
    walk(search, 1300)
    assert (search.low, search.settled) == (1300, True)


def test_limits_that_make_no_sense_change_nothing() -> None:
    search = Search(SMALLEST, 1500)
    search.passed(1000)
    for limit in (0, 68, 999, 1500, 1 << 32):
        search.limit(limit)
    assert (search.low, search.high) == (1000, 1500)


def test_an_answer_outweighs_what_was_said() -> None:
    search = Search(SMALLEST, 1500)
    search.passed(SMALLEST)
    search.limit(1400)
    search.passed(1450)
    search.limit(1400)
    assert search.low == 1450
    assert search.high > 1450
