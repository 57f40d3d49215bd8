"""An alert that is silenced by its cause has ended before that cause has: nobody is told of a symptom when all is well.

How long an alert goes on when its trouble is over follows from its windows and from ``keep``.
"""

import re

import pytest

from natobs.catalogue import alerts, values
from natobs.catalogue.alerting import Alert
from natobs.catalogue.promql import Query

MARGIN = 60
"""Seconds: two rounds of rules, one for a recorded value and one for the alert."""
AT_ONCE = {
    "NatTrafficStopped": "the first packet ends it",
    "NatProbesSilent": "the first attempt ends it",
    "NatAgentAbsent": "the first scrape ends it",
}
APART = {
    "NatDestinationFailing": "a NAT that fails leaves most destinations unanswered, and it wants a minority",
    "NatCarrierFlapping": "one interface that goes down and comes back does not flap",
}
VALUES = {value.recorded: value for value in values.ALL}
ROWS = {alert.name: alert for alert in alerts.ALL}
_RANGE = re.compile(r"\[«(\d+)»")


def reach(query: Query) -> int:
    """The longest window of an expression, in seconds, those of the values that it reads included."""
    own = [int(found) for found in _RANGE.findall(query.template)]
    return max(own + [reach(VALUES[source].query) for source in query.sources if source in VALUES], default=0)


def memory(alert: Alert) -> int:
    """For how long an alert goes on at most when its trouble is over, in seconds."""
    window = reach(alert.value)
    return (window if alert.where is None or alert.extra else min(window, reach(alert.where) or window)) + alert.keep


def too_long(cause: Alert, symptom: Alert) -> bool:
    return memory(symptom) + MARGIN > memory(cause)


PAIRS = [
    (alert, ROWS[name])
    for alert in alerts.ALL
    for name in alert.silences
    if name in ROWS and name not in AT_ONCE and name not in APART
]


@pytest.mark.parametrize(("cause", "symptom"), PAIRS, ids=lambda alert: alert.name)
def test_a_symptom_ends_before_its_cause(cause: Alert, symptom: Alert) -> None:
    assert not too_long(cause, symptom), (
        f"{memory(symptom)} s and {MARGIN} s, while {cause.name} lasts {memory(cause)} s"
    )


def test_a_symptom_that_lasts_longer_is_noticed() -> None:
    assert len(PAIRS) > 60
    assert too_long(ROWS["NatProbeFailing"], ROWS["NatTableFull"])
