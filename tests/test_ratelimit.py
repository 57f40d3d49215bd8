import pytest

from natobs.errors import WebConfigError
from natobs.exposition.ratelimit import TokenBucket, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (0, 0.0),
        ("1s", 1.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("7us", 7e-6),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", 5, "s", "1 s", "1d", "-1s", "1s!", "s1"])
def test_other_texts_are_no_durations(text: str | int) -> None:
    with pytest.raises(WebConfigError, match=r"rate_limit\.interval"):
        parse_duration(text)


def test_a_bucket_allows_a_burst_and_then_one_an_interval() -> None:
    now = 100.0
    bucket = TokenBucket(2.0, 3, clock=lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now += 1.9
    assert not bucket.take()
    now += 0.2
    assert [bucket.take(), bucket.take()] == [True, False]
    now += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_an_interval_of_zero_is_no_limit() -> None:
    bucket = TokenBucket(0.0, 0)
    assert all(bucket.take() for _ in range(1000))
