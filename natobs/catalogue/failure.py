"""What a failure mode of a NAT is, the rules it is checked against when it is built, and where packets can be lost.

Knows signals as metrics, and checks names of alerts against the catalogue. Knows
no failure mode by name but in the table of places; they are in
:mod:`natobs.catalogue.faults`.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from natobs.catalogue import alerts as alert_rows
from natobs.catalogue.types import Metric
from natobs.errors import CatalogueError

_ID = re.compile(r"F[1-9]")
_ALERTS = {alert.name: alert for alert in alert_rows.ALL}


class Apart(NamedTuple):
    """What tells a fault from something that looks like it.

    Args:
        other: id of a fault, or name of an alert.
        how: the difference, as a sentence.
    """

    other: str
    how: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure mode.

    Args:
        id: ``F1`` to ``F9``.
        title: what an engineer calls it.
        symptom: what users see, as a sentence.
        signals: the metrics that show it, the most telling first.
        alerts: names of alerts that name it or announce it, causes first.
        apart: what tells it from its look-alikes.
        first: what to do first, in this order; each a sentence.
        mitigation: what ends it, the quickest first; each a sentence.
    """

    id: str
    title: str
    symptom: str
    signals: tuple[Metric, ...]
    alerts: tuple[str, ...]
    apart: tuple[Apart, ...]
    first: tuple[str, ...]
    mitigation: tuple[str, ...]

    def __post_init__(self) -> None:
        sentences = (self.symptom, *(one.how for one in self.apart), *self.first, *self.mitigation)
        problems = {
            "its id is F1 to F9": not _ID.fullmatch(self.id),
            "it needs signals, alerts, first steps and a mitigation": not all(
                (self.signals, self.alerts, self.first, self.mitigation)
            ),
            "its texts are sentences": not all(text.endswith(".") for text in sentences),
            "it names alerts that exist": not _ALERTS.keys() >= {*self.alerts},
            "the first of its alerts bears its id": all(
                _ALERTS[name].fault != self.id for name in self.alerts[:1] if name in _ALERTS
            ),
            "it names all alerts that bear its id": not {
                alert.name for alert in _ALERTS.values() if alert.fault == self.id
            }
            <= {*self.alerts},
            "its look-alikes are faults or alerts": any(
                not _ID.fullmatch(one.other) and one.other not in _ALERTS for one in self.apart
            ),
            "it is not its own look-alike": self.id in {one.other for one in self.apart},
        }
        broken = [rule for rule, violated in problems.items() if violated]
        if broken:
            raise CatalogueError(f"fault {self.id}: {'; '.join(broken)}")


class Place(NamedTuple):
    """Where packets of failing probes were seen last, and what that means.

    Args:
        seen: at which of the four points of the taps.
        means: where to look.
        alerts: what fires then.
        faults: which failure modes it can be.
    """

    seen: str
    means: str
    alerts: tuple[str, ...]
    faults: tuple[str, ...]


PLACES: tuple[Place, ...] = (
    Place(
        "not at `inside_in`",
        "The private subnet does not send its packets to this NAT: its route, its own interface, or the cloud between.",
        ("NatSubnetRouteMissing",),
        ("F4",),
    ),
    Place(
        "at `inside_in`, not at `outside_out`",
        "The NAT itself loses them: full table, no port, no route, a rule, a saturated CPU. Its counters say which.",
        ("NatTableFull", "NatPortsExhausted", "NatDefaultRouteMissing", "NatForwardingBroken"),
        ("F1", "F9", "F4", "F2", "F6"),
    ),
    Place(
        "at `outside_out`, not at `outside_in`, whatever the destination",
        "Nothing comes back: the cloud's firewall or routes, an address that is not the NAT's any more, the provider.",
        ("NatNoReturnTraffic", "NatPublicAddressUnexpected"),
        ("F6", "F7", "F3"),
    ),
    Place(
        "at `outside_out`, not at `outside_in`, for one destination only",
        "The destination, or somebody on the way to it.",
        ("NatDestinationFailing",),
        (),
    ),
    Place(
        "at `outside_in`, not at `inside_out`",
        "The answer reached the NAT and died on it: a rule, or lost state.",
        ("NatReturnBlocked", "NatStateLost"),
        ("F6", "F5"),
    ),
    Place(
        "at all four points, and the probe fails all the same",
        "Between the NAT and the private host: its firewall, the subnet's rules, or packets of full size alone.",
        ("NatProbeFailing", "NatPathMtuBlackHole"),
        ("F8",),
    ),
)
"""In the order in which a packet passes."""
