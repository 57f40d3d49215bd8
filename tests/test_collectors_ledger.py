from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from natobs.collectors.ledger import Entry, Key, Ledger

REST: Key = ("other",)
LAST: Key = ("last",)


def entry(
    identity: int, key: str, packets: int, *, preferred: bool = False, rests: tuple[Key, ...] = (REST, LAST)
) -> Entry:
    return Entry(identity, (key,), rests, preferred, packets, packets * 10)


def credit(ledger: Ledger, *entries: Entry, source: str = "one") -> dict[str, int]:
    given_back = ledger.update({source: entries})
    assert all(total.bytes == total.packets * 10 for total in given_back.values())
    return {key[0]: total.packets for key, total in given_back.items()}


def test_a_series_shows_its_counter_restarts_included() -> None:
    ledger = Ledger(5)
    assert credit(ledger, entry(1, "a", 7)) == {"a": 7}
    assert credit(ledger, entry(1, "a", 9)) == {"a": 9}
    assert credit(ledger, entry(1, "a", 2)) == {"a": 2}
    assert credit(ledger, entry(2, "a", 1)) == {"a": 1}
    assert credit(ledger) == {}
    assert credit(ledger, entry(2, "a", 50)) == {"a": 50}


def test_things_that_share_a_series_are_summed_and_one_that_vanishes_stays_in_the_sum() -> None:
    ledger = Ledger(5)
    assert credit(ledger, entry(1, "a", 100), entry(2, "a", 50)) == {"a": 150}
    assert credit(ledger, entry(1, "a", 101)) == {"a": 151}
    assert credit(ledger, entry(1, "a", 102), entry(3, "a", 1)) == {"a": 153}
    assert credit(ledger, entry(1, "a", 1), entry(3, "a", 2)) == {"a": 155}, "one of two restarted"
    assert credit(ledger, entry(1, "a", 0), entry(3, "a", 1)) == {"a": 1}, "both restarted"


def test_things_that_change_places_show_their_own_counters() -> None:
    ledger = Ledger(5)
    credit(ledger, entry(1, "#1", 100), entry(2, "#2", 5))
    assert credit(ledger, entry(3, "#1", 0), entry(1, "#2", 101), entry(2, "#3", 6)) == {"#1": 0, "#2": 101, "#3": 6}


def test_followed_things_take_only_what_they_counted_since_to_another_place() -> None:
    ledger = Ledger(5, follow=True)
    assert credit(ledger, entry(1, "#1", 5), entry(2, "#2", 1000)) == {"#1": 5, "#2": 1000}
    assert credit(ledger, entry(2, "#1", 1001)) == {"#1": 6}


def test_beyond_the_limit_all_is_one_rest_that_never_falls() -> None:
    ledger = Ledger(1)
    assert credit(ledger, entry(1, "a", 1), entry(2, "b", 2), entry(3, "c", 3)) == {"a": 1, "other": 5}
    assert credit(ledger, entry(1, "a", 1), entry(2, "b", 4)) == {"a": 1, "other": 7}
    assert credit(ledger, entry(1, "a", 1), entry(2, "b", 1)) == {"a": 1, "other": 8}
    assert credit(ledger, entry(1, "a", 1)) == {"a": 1, "other": 8}


def test_preferred_series_come_first_and_displace_others_but_not_one_another() -> None:
    ledger = Ledger(2)
    credit(ledger, entry(1, "a", 1), entry(2, "b", 2))
    found = credit(ledger, entry(1, "a", 1), entry(2, "b", 5), entry(3, "c", 7, preferred=True))
    assert found == {"a": 1, "c": 7, "other": 3}
    found = credit(ledger, *(entry(10 + n, key, 1, preferred=True) for n, key in enumerate("defc")))
    assert sorted(found) == ["c", "d", "other"]
    found = credit(ledger, *(entry(10 + n, key, 1, preferred=True) for n, key in enumerate("gdefc")))
    assert sorted(found) == ["c", "d", "other"]


def test_a_series_that_leaves_the_rest_starts_at_zero() -> None:
    ledger = Ledger(1)
    credit(ledger, entry(1, "a", 1), entry(2, "b", 100))
    assert credit(ledger, entry(2, "b", 103)) == {"b": 3, "other": 100}
    assert credit(ledger, entry(2, "b", 104)) == {"b": 4, "other": 100}


def test_a_series_that_is_named_like_a_rest_is_credited_to_it() -> None:
    assert credit(Ledger(9), entry(1, "other", 1), entry(2, "last", 1), entry(3, "a", 1)) == {"other": 2, "a": 1}


def test_a_source_that_could_not_be_read_loses_nothing() -> None:
    ledger = Ledger(1)
    two = [entry(1, "a", 5), entry(2, "b", 7)]
    assert ledger.update({"x": two, "y": [entry(1, "b", 1)]}).keys() == {("a",), REST}
    found = ledger.update({"y": [entry(1, "b", 1)]})
    assert {key: total.packets for key, total in found.items()} == {REST: 8}
    found = ledger.update({"x": two, "y": [entry(1, "b", 2)]})
    assert {key: total.packets for key, total in found.items()} == {("a",): 5, REST: 9}
    assert ledger.update({}) == {}


def test_a_series_of_two_sources_does_not_restart_while_one_is_not_read() -> None:
    ledger = Ledger(1)
    ledger.update({"x": [entry(1, "a", 5)], "y": [entry(1, "a", 3)]})
    assert credit(ledger, entry(1, "a", 1), source="y") == {"a": 9}
    found = ledger.update({"x": [entry(1, "a", 6)], "y": [entry(1, "a", 1)]})
    assert found["a",].packets == 10


def test_rests_are_bounded_too() -> None:
    ledger = Ledger(2)
    found = credit(ledger, *(entry(n, f"k{n}", 1, rests=((f"rest{n}",), LAST)) for n in range(50)))
    assert len(found) == 2 + 2 + 1
    assert sum(found.values()) == 50
    assert found["last"] == 46


KEYS = ("a", "b", "c", "other", "#1", "#2")
READINGS = st.lists(
    st.dictionaries(
        st.sampled_from(["x", "y"]),
        st.dictionaries(
            st.integers(0, 6), st.tuples(st.sampled_from(KEYS), st.integers(0, 20), st.booleans()), max_size=6
        ),
    ),
    max_size=12,
)


def rulesets(readings: list[dict[str, dict[int, tuple[str, int, bool]]]]) -> Iterator[dict[str, list[Entry]]]:
    for reading in readings:
        yield {
            source: [
                entry(identity, key, packets, preferred=preferred)
                for identity, (key, packets, preferred) in things.items()
            ]
            for source, things in reading.items()
        }


@given(readings=READINGS, limit=st.integers(1, 4), follow=st.booleans())
def test_over_any_sequence_no_rest_falls_and_no_bound_breaks(
    readings: list[dict[str, dict[int, tuple[str, int, bool]]]], limit: int, *, follow: bool
) -> None:
    ledger = Ledger(limit, follow=follow)
    rests: dict[Key, int] = {}
    for read in rulesets(readings):
        found = ledger.update(read)
        for key in (REST, LAST):
            if key in found:
                assert found[key].packets >= rests.get(key, 0)
                rests[key] = found[key].packets
        assert len(found.keys() - {REST, LAST}) <= limit
        assert all(total.packets >= 0 for total in found.values())
        if follow:
            continue
        for entries in read.values():
            keys = [one.key for one in entries]
            assert set(keys) <= found.keys() or REST in found


@given(st.lists(st.dictionaries(st.integers(0, 4), st.integers(0, 20)), max_size=12))
def test_a_rest_is_the_sum_of_all_increments(readings: list[dict[int, int]]) -> None:
    ledger = Ledger(1)
    expected = 0
    last: dict[int, int] = {}
    for reading in readings:
        for identity, packets in reading.items():
            restarted = packets < last.get(identity, 0)
            expected += packets if restarted else packets - last.get(identity, 0)
        last = reading
        found = credit(ledger, *(entry(identity, "other", packets) for identity, packets in reading.items()))
        assert found.get("other", 0) == expected


@given(st.lists(st.lists(st.integers(0, 20), min_size=6, max_size=6), min_size=1, max_size=8), st.integers(1, 8))
def test_while_nothing_restarts_series_and_rests_add_up_to_what_was_counted(steps: list[list[int]], limit: int) -> None:
    ledger = Ledger(limit)
    counters = [0] * 6
    for step in steps:
        counters = [counter + more for counter, more in zip(counters, step, strict=True)]
        found = credit(ledger, *(entry(index, f"k{index % 4}", counters[index]) for index in range(6)))
        assert sum(found.values()) == sum(counters)
