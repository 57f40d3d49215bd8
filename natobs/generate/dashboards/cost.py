"""Volume and cost of egress, from recorded bytes and the price tiers of the fleet's file.

Knows arithmetic only. An estimate: what a cloud bills also depends on where the
bytes went.
"""

from functools import reduce

from natobs.catalogue.naming import DAY
from natobs.catalogue.promql import Query, aggregate, call, over
from natobs.catalogue.values import EGRESS
from natobs.config.fleet import Prices

WEEK, MONTH = 7 * DAY, 30 * DAY
_GB = 1e9
_KNOWN = {"USD", "GBP", "EUR", "JPY", "CHF", "DKK", "NOK", "SEK", "CZK", "PLN", "ZAR", "INR", "KRW", "BRL"}
"""Currencies that Grafana has a unit for."""


def volume(window: int, *by: str) -> Query:
    """Bytes that left within so many seconds, by labels."""
    return aggregate("sum", by, over("sum_over_time", EGRESS.series, window))


def monthly(prices: Prices) -> Query:
    """What a month like the last seven days costs, all NATs together: tiers are by account."""
    gigabytes = volume(WEEK) * (MONTH / WEEK / _GB)
    start, parts = 0.0, []
    for tier in prices.tiers:
        above = gigabytes - start if start else gigabytes
        if tier.up_to_gb is None:
            part = call("clamp_min", above, 0)
        else:
            part = call("clamp", above, 0, f"{tier.up_to_gb - start:.12g}")
            start = tier.up_to_gb
        parts.append(part * tier.per_gb)
    return reduce(Query.__add__, parts)


def unit(prices: Prices) -> str:
    """Grafana's unit of the currency; one that it does not know is written in front."""
    return f"currency{prices.currency}" if prices.currency in _KNOWN else f"currency:{prices.currency}"
