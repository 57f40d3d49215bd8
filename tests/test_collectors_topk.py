"""Top-K series: nothing is counted twice, nothing is lost, nothing falls, whatever keys do."""

from hypothesis import given
from hypothesis import strategies as st

from natobs.collectors.topk import ZERO, Counts, Increments, Memory, TopCounters

KEYS = "abcdefgh"


def test_what_was_counted_before_anybody_looked_belongs_to_the_rest() -> None:
    top: TopCounters[str] = TopCounters(2)
    top.update(Counts(100, 90), {}, "ab")
    assert (top.memory.credited, top.memory.rest, top.memory.shown) == (Counts(100, 90), Counts(100, 90), {})


def test_a_promoted_key_starts_at_zero_and_then_counts() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {}, "")
    top.update(Counts(10, 5), {"a": Counts(10, 5)}, "a")
    assert (top.memory.shown, top.memory.rest) == ({"a": ZERO}, Counts(10, 5))
    top.update(Counts(17, 8), {"a": Counts(6, 3)}, "a")
    assert top.memory.shown == {"a": Counts(6, 3)}
    assert (top.memory.rest, top.memory.credited) == (Counts(11, 5), Counts(17, 8))


def test_a_key_stays_until_another_is_twice_as_busy() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {}, "")
    top.update(Counts(10, 0), {"a": Counts(10, 0)}, "a")
    top.update(Counts(35, 0), {"a": Counts(10, 0), "b": Counts(15, 0)}, "ab")
    assert set(top.memory.shown) == {"a"}
    top.update(Counts(90, 0), {"a": Counts(5, 0), "b": Counts(50, 0)}, "ab")
    assert top.memory.shown == {"b": ZERO}
    assert top.memory.credited == Counts(90, 0)
    assert top.memory.rest == Counts(80, 0)  # what a got last is nobody's; the 10 of its time on show went with it


def test_a_silent_key_gives_way_to_any_other() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {}, "")
    top.update(Counts(2, 0), {"a": Counts(2, 0)}, "a")
    for _reading in range(10):
        top.update(Counts(2, 0), {}, "a")
    top.update(Counts(3, 0), {"b": Counts(1, 0)}, "ab")
    assert set(top.memory.shown) == {"b"}


def test_a_key_that_nothing_counts_for_disappears() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {}, "")
    top.update(Counts(4, 0), {"a": Counts(4, 0)}, "a")
    top.update(Counts(9, 0), {"a": Counts(5, 0)}, "a")
    top.update(Counts(9, 0), {}, "")
    assert top.memory.shown == {}
    assert (top.memory.rest, top.memory.credited) == (Counts(4, 0), Counts(9, 0))


def test_keys_that_are_ahead_of_the_total_are_waited_for() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {}, "")
    top.update(Counts(5, 0), {"a": Counts(5, 0)}, "a")
    top.update(Counts(6, 0), {"a": Counts(5, 0)}, "a")
    assert (top.memory.credited, top.memory.rest, top.memory.debt) == (Counts(10, 0), Counts(5, 0), Counts(4, 0))
    top.update(Counts(11, 0), {}, "a")
    assert (top.memory.credited, top.memory.rest, top.memory.debt) == (Counts(11, 0), Counts(6, 0), ZERO)


def test_the_first_reading_of_elements_says_nothing_and_an_element_that_came_back_counts_in_full() -> None:
    increments = Increments()
    assert increments.since([(b"a", 600, 10)]) == {}
    assert increments.since([(b"a", 660, 11), (b"b", 60, 3)]) == {b"a": 1, b"b": 3}
    assert increments.since([(b"a", 660, 11), (b"b", 60, 2)]) == {b"b": 2}
    increments.restart()
    assert increments.since([(b"a", 60, 12)]) == {b"a": 12}


def test_an_element_that_one_reading_lacked_does_not_count_its_past_again() -> None:
    increments = Increments()
    increments.since([(b"a", 0, 1_000_000), (b"b", 0, 5)])
    assert increments.since([(b"b", 0, 6)]) == {b"b": 1}
    assert increments.since([(b"a", 0, 1_000_003), (b"b", 0, 6)]) == {b"a": 3}
    assert increments.since([(b"b", 0, 6)]) == {}
    assert increments.since([(b"b", 0, 6)]) == {}
    assert increments.since([(b"a", 0, 2), (b"b", 0, 6)]) == {b"a": 2}  # gone for longer: it expired
    increments.since([])
    increments.restart()
    assert increments.since([(b"a", 0, 2), (b"b", 0, 7)]) == {b"a": 2, b"b": 7}


def test_a_lower_limit_than_in_an_earlier_life_holds_at_once_and_spares_the_busy() -> None:
    top: TopCounters[str] = TopCounters(3)
    top.update(ZERO, {}, "")
    everybody = {"a": Counts(1, 0), "b": Counts(9, 0), "c": Counts(2, 0)}
    top.update(Counts(12, 0), everybody, "abc")
    top.update(Counts(24, 0), everybody, "abc")
    lower = TopCounters(1, top.memory)
    lower.update(Counts(36, 0), everybody, "abc")
    assert lower.memory.shown == {"b": Counts(18, 0)}
    assert lower.memory.credited == Counts(36, 0)


@given(
    st.integers(0, 3),
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(KEYS), st.integers(0, 50)),
            st.integers(-20, 20),
            st.sampled_from(["go on", "expire", "restart the agent"]),
        ),
        max_size=30,
    ),
)
def test_increases_add_up_to_the_total_and_nothing_falls(
    limit: int, readings: list[tuple[dict[str, int], int, str]]
) -> None:
    top: TopCounters[str] = TopCounters(limit)
    present: set[str] = set()
    counted = 0
    top.update(ZERO, {}, present)
    for increments, unknown, event in readings:
        more = max(0, sum(increments.values()) + unknown)  # below the sum where the keys were read later
        if event == "expire" and present:
            present.pop()
        elif event == "restart the agent":
            top = TopCounters(limit, top.memory)
        present |= increments.keys()
        counted += more
        before = dict(top.memory.shown), top.memory.rest.attempts, top.memory.credited.attempts
        top.update(Counts(counted, 0), {key: Counts(number, 0) for key, number in increments.items()}, present)
        shown, rest, credited = top.memory.shown, top.memory.rest.attempts, top.memory.credited.attempts
        stayed = {key: value.attempts - before[0][key].attempts for key, value in shown.items() if key in before[0]}
        assert len(shown) <= limit
        assert min(stayed.values(), default=0) >= 0
        assert all(shown[key] == ZERO for key in shown.keys() - before[0].keys())
        assert rest >= before[1]
        assert credited - before[2] == sum(stayed.values()) + rest - before[1]
        assert credited == counted + top.memory.debt.attempts


def test_memory_is_all_that_a_new_life_needs() -> None:
    memory: Memory[str] = TopCounters[str](1).memory
    assert memory.total is None
    assert memory.shown == {}
