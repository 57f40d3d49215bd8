"""Content negotiation: which of our formats and codings a client prefers.

Knows the weighted lists of RFC 9110 (sections 12.4 and 12.5). Refuses to know
what the formats contain. A header that cannot be parsed says nothing: a scrape
is better answered in the default format than refused.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class MediaType(NamedTuple):
    """A format that we can offer, and the version it is offered in."""

    name: str
    version: str


class _Choice(NamedTuple):
    """One member of a weighted list: its lower-case value, its parameters, and its weight from 0 to 1."""

    value: str
    parameters: dict[str, str]
    weight: float


class Preference(NamedTuple):
    """What was chosen from the offers, and the parameters of the range that chose it."""

    offer: MediaType
    parameters: dict[str, str]


def prefer_media_type(accept: str, offers: Sequence[MediaType]) -> Preference:
    """Choose the offer with the highest weight; the earlier of two equal ones; the first if none is acceptable.

    RFC 9110 allows an answer in a format that was not asked for; Prometheus
    exporters have always given one.

    Args:
        accept: the ``Accept`` header, empty when absent.
        offers: at least one, the default first.
    """
    best = Preference(offers[0], {})
    best_weight = 0.0
    ranges = list(_choices(accept))
    for offer in offers:
        matching = [(_specificity(choice, offer), choice) for choice in ranges]
        specificity, choice = max(matching, key=lambda pair: pair[0], default=(0, None))
        if choice is not None and specificity and choice.weight > best_weight:
            best, best_weight = Preference(offer, choice.parameters), choice.weight
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip, and does not like the plain body better."""
    weights = {choice.value: choice.weight for choice in _choices(accept_encoding)}
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _specificity(choice: _Choice, offer: MediaType) -> int:
    """How exactly a media range names an offer: 0 not at all, up to 4 with the version."""
    if choice.value == offer.name:
        version = choice.parameters.get("version")
        if version is None:
            return 3
        return 4 if version == offer.version else 0
    if choice.value == offer.name.partition("/")[0] + "/*":
        return 2
    return 1 if choice.value == "*/*" else 0


def _choices(header: str) -> Iterator[_Choice]:
    for member in header.lower().split(","):
        value, *rest = (part.strip() for part in member.split(";"))
        if not value:
            continue
        parameters = {}
        for text in rest:
            name, _, setting = text.partition("=")
            parameters[name.strip()] = setting.strip().strip('"')
        yield _Choice(value, parameters, _weight(parameters.pop("q", "1")))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
