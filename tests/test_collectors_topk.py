"""Top-K series: nothing is counted twice, nothing is lost, nothing falls, whatever keys do."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from natobs.collectors.topk import ZERO, Counts, Memory, TopCounters

KEYS = "abcdefgh"


def values(top: TopCounters[str]) -> dict[str, Counts]:
    return {key: shown.value for key, shown in top.memory.shown.items()}


def counts(attempts: Mapping[str, int]) -> dict[str, Counts]:
    return {key: Counts(number, number // 2) for key, number in attempts.items()}


def total(keys: Mapping[str, Counts]) -> Counts:
    return Counts(sum(count.attempts for count in keys.values()), sum(count.answers for count in keys.values()))


def test_what_was_counted_before_anybody_looked_belongs_to_the_rest() -> None:
    top: TopCounters[str] = TopCounters(2)
    top.update(Counts(100, 90), counts({"a": 50, "b": 40}))
    assert (top.memory.credited, top.memory.rest) == (Counts(100, 90), Counts(100, 90))
    assert values(top) == {"a": ZERO, "b": ZERO}


def test_a_promoted_key_starts_at_zero_and_then_counts() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {})
    top.update(Counts(10, 5), counts({"a": 10}))
    assert (values(top), top.memory.rest) == ({"a": ZERO}, Counts(10, 5))
    top.update(Counts(17, 8), counts({"a": 16}))
    assert values(top) == {"a": Counts(6, 3)}
    assert (top.memory.rest, top.memory.credited) == (Counts(11, 5), Counts(17, 8))


def test_a_key_stays_until_another_is_twice_as_busy() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {})
    top.update(Counts(10, 0), {"a": Counts(10, 0)})
    top.update(Counts(35, 0), {"a": Counts(20, 0), "b": Counts(15, 0)})
    assert set(values(top)) == {"a"}
    top.update(Counts(90, 0), {"a": Counts(25, 0), "b": Counts(65, 0)})
    assert values(top) == {"b": ZERO}


def test_a_key_without_a_counter_disappears_and_its_past_stays_where_it_was() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {})
    top.update(Counts(4, 0), {"a": Counts(4, 0)})
    top.update(Counts(9, 0), {"a": Counts(9, 0)})
    rest, credited = top.memory.rest, top.memory.credited
    top.update(Counts(9, 0), {})
    assert values(top) == {}
    assert (top.memory.rest, top.memory.credited) == (rest, credited)


def test_keys_that_are_ahead_of_the_total_are_waited_for() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {})
    top.update(Counts(5, 0), {"a": Counts(5, 0)})
    top.update(Counts(6, 0), {"a": Counts(10, 0)})
    assert (top.memory.credited, top.memory.rest, top.memory.debt) == (Counts(10, 0), Counts(5, 0), Counts(4, 0))
    top.update(Counts(11, 0), {"a": Counts(10, 0)})
    assert (top.memory.credited, top.memory.rest, top.memory.debt) == (Counts(11, 0), Counts(6, 0), ZERO)


def test_an_element_that_began_anew_goes_on_counting() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {})
    top.update(Counts(8, 0), {"a": Counts(8, 0)})
    top.update(Counts(11, 0), {"a": Counts(3, 0)})
    assert values(top) == {"a": Counts(3, 0)}


def test_no_series_goes_back_when_the_table_was_made_anew() -> None:
    top: TopCounters[str] = TopCounters(1)
    top.update(ZERO, {})
    top.update(Counts(8, 4), {"a": Counts(8, 4)})
    top.update(Counts(20, 10), {"a": Counts(20, 10)})
    top.restart()
    top.update(Counts(3, 1), {"a": Counts(2, 1)})
    assert values(top) == {"a": Counts(14, 7)}
    assert (top.memory.credited, top.memory.rest) == (Counts(23, 11), Counts(9, 4))


@given(
    st.integers(0, 3),
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(KEYS), st.integers(0, 50)),
            st.integers(0, 9),
            st.sampled_from(["go on", "expire", "restart the agent", "install anew"]),
        ),
        max_size=30,
    ),
)
def test_increases_add_up_to_the_total_and_nothing_falls(
    limit: int, readings: list[tuple[dict[str, int], int, str]]
) -> None:
    top: TopCounters[str] = TopCounters(limit)
    kernel: dict[str, int] = {}
    everything = true_total = 0
    top.update(ZERO, {})
    for increments, unknown, event in readings:
        if event == "expire" and kernel:
            kernel.pop(next(iter(kernel)))
        elif event == "restart the agent":
            top = TopCounters(limit, top.memory)
        elif event == "install anew":
            kernel, everything = {}, 0
            top.restart()
        for key, more in increments.items():
            kernel[key] = kernel.get(key, 0) + more
        everything += sum(increments.values()) + unknown
        true_total += sum(increments.values()) + unknown
        before = values(top), top.memory.rest, top.memory.credited
        top.update(Counts(everything, 0), {key: Counts(number, 0) for key, number in kernel.items()})
        after = values(top), top.memory.rest, top.memory.credited
        stayed = {key: value.attempts - before[0][key].attempts for key, value in after[0].items() if key in before[0]}
        assert len(after[0]) <= limit
        assert min(stayed.values(), default=0) >= 0
        assert all(after[0][key] == ZERO for key in after[0].keys() - before[0].keys())
        rest = after[1].attempts - before[1].attempts
        assert rest >= 0
        assert after[2].attempts - before[2].attempts == sum(stayed.values()) + rest
        assert top.memory.credited.attempts == true_total + top.memory.debt.attempts


def test_memory_is_all_that_a_new_life_needs() -> None:
    memory: Memory[str] = TopCounters[str](1).memory
    assert memory.total is None
    assert memory.shown == {}
