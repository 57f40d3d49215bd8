import math

import pytest

from natobs.exposition.humanize import amount, span


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (7, "", "7"),
        (999, "", "999"),
        (999.6, "", "1 k"),
        (1000, "", "1 k"),
        (262_144, "", "262 k"),
        (0.123456, "", "0.123"),
        (-1500, "", "-1.5 k"),
        (1_234_567, "bytes", "1.23 MB"),
        (12, "bytes", "12 B"),
        (0.70123, "ratio", "70.1 %"),
        (0.0045, "seconds", "4.5 ms"),
        (0.00002, "seconds", "20 µs"),
        (0, "seconds", "0 s"),
        (math.nan, "", "nan"),
        (math.inf, "bytes", "inf"),
        (10.0**30, "", "1000000000000 E"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.4, "59.4 s"), (60, "1 min"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h"), (86_400, "1 d")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text
