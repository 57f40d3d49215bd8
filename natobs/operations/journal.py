"""The journal of one NAT: its latest events, how many there ever were, and its maintenance.

Pure: a change gives a new journal. Totals are kept apart from the events, so that
what is forgotten stays counted. Refuses to know where it is kept and who asks.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from natobs.catalogue.metrics.operations import KINDS, OTHER, REASONS_PER_KIND, SLUG
from natobs.errors import FormatError, OperationsError

FORMAT = 1
"""Rises when an older natobs could not read what this one writes."""
MOST_EVENTS = 1000
MOST_BYTES = 4 * 1024 * 1024
MOST_LETTERS = 200
"""Of a note, a name or a reason in words."""

Scope = Literal["nat", "cluster"]
"""Whose maintenance it is: this NAT's, or its whole cluster's."""
SCOPES: tuple[Scope, ...] = ("nat", "cluster")

_SLUG = re.compile(SLUG)
_Time = Annotated[float, Meta(ge=0, lt=1e11)]
_Text = Annotated[str, Meta(max_length=MOST_LETTERS)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file."""


class _Kinded(_Record, frozen=True):
    """What is of one kind, for one reason.

    Args:
        kind: one of :data:`KINDS`.
        reason: a slug.
    """

    kind: str
    reason: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        if not _SLUG.fullmatch(self.reason):
            raise ValueError(f"reason {self.reason!r} is not of the form {SLUG}")


class Event(_Kinded, frozen=True):
    """Something that happened.

    Args:
        time: when, in seconds since the epoch.
        note: more about it, for a person.
        by: who says so.
    """

    time: _Time
    note: _Text = ""
    by: _Text = ""


class Total(_Kinded, frozen=True):
    """How often something happened, ever.

    Args:
        count: so often.
        since: when the first of them was recorded, in seconds since the epoch.
        latest: when the latest of them happened.
    """

    count: Annotated[int, Meta(ge=1)]
    since: _Time
    latest: _Time


class Silence(_Record, frozen=True):
    """A silence in an Alertmanager.

    Args:
        url: of the Alertmanager, without name and password.
        id: as it calls the silence.
        until: when it ends by itself, in seconds since the epoch.
    """

    url: str
    id: str
    until: _Time


class Window(_Record, frozen=True):
    """A time of planned maintenance.

    Args:
        begin: in seconds since the epoch.
        until: the same; where it was ended early, when that was.
        reason: for a person.
        by: who declared it.
        cluster: of which cluster, where that is known.
        silence: what keeps Alertmanager quiet meanwhile.
    """

    begin: _Time
    until: _Time
    reason: _Text = ""
    by: _Text = ""
    cluster: _Text = ""
    silence: Silence | None = None

    def active(self, now: float) -> bool:
        """Whether it is on."""
        return now < self.until


class Journal(_Record, frozen=True):
    """Everything.

    Args:
        format: of this layout.
        events: the latest, in the order in which they were recorded.
        totals: one for each kind and reason that is counted apart.
        nat: the latest maintenance of this NAT.
        cluster: the latest maintenance of its whole cluster that was declared here.
    """

    format: int = FORMAT
    events: tuple[Event, ...] = ()
    totals: tuple[Total, ...] = ()
    nat: Window | None = None
    cluster: Window | None = None

    def recorded(self, event: Event, now: float) -> "Journal":
        """With one event more.

        Args:
            event: which.
            now: in seconds since the epoch.
        """
        totals = {(total.kind, total.reason): total for total in self.totals}
        key = event.kind, event.reason
        if key not in totals and sum(kind == event.kind for kind, _reason in totals) >= REASONS_PER_KIND:
            key = event.kind, OTHER
        total = totals.get(key, Total(*key, count=1, since=now, latest=event.time))
        if key in totals:
            total = replace(total, count=total.count + 1, latest=max(total.latest, event.time))
        totals[key] = total
        return replace(self, events=(*self.events, event)[-MOST_EVENTS:], totals=tuple(totals.values()))

    def window(self, scope: Scope) -> Window | None:
        """The latest maintenance of this NAT, or of its cluster; None where none was ever declared."""
        return self.nat if scope == "nat" else self.cluster

    def declared(self, scope: Scope, window: Window) -> "Journal":
        """With a maintenance, unless the one before lasts longer: a restart does not cut short what people declared.

        The silence of the one before is taken over: it is to be replaced, and not forgotten.
        """
        before = self.window(scope)
        if before is None or (scope == "cluster" and before.cluster != window.cluster):
            return replace(self, **{scope: window})
        if before.until > window.until:
            return self
        return replace(self, **{scope: replace(window, silence=before.silence)})

    def ended(self, scope: Scope, now: float) -> "Journal":
        """With the maintenance over; one that is over already ended when it did."""
        window = self.window(scope)
        if window is None or not window.active(now):
            return self
        return replace(self, **{scope: replace(window, until=now)})

    def silenced(self, scope: Scope, silence: Silence | None) -> "Journal":
        """With the silence of the maintenance, or without one."""
        window = self.window(scope)
        return self if window is None else replace(self, **{scope: replace(window, silence=silence)})

    def latest(self) -> Mapping[str, float]:
        """When the latest event of each kind happened; kinds without any are missing."""
        found: dict[str, float] = {}
        for total in self.totals:
            found[total.kind] = max(total.latest, found.get(total.kind, 0.0))
        return found


class NewerError(OperationsError):
    """A journal that only a newer natobs can read."""


def encode(journal: Journal) -> bytes:
    """The text of a journal: JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(journal)) + b"\n"


def decode(content: bytes) -> Journal:
    """Read the text of a journal.

    Raises:
        FormatError: it is none; the message says where.
        NewerError: it is one of a later format.
    """
    if len(content) > MOST_BYTES:
        raise FormatError(f"{len(content)} bytes are more than any journal has")
    try:
        written = msgspec.json.decode(content, type=_Versioned).format
        if written > FORMAT:
            raise NewerError(f"format {written} was written by a newer natobs; this one reads {FORMAT}")
        return msgspec.json.decode(content, type=Journal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(str(error)) from error


class _Versioned(msgspec.Struct):
    format: Annotated[int, Meta(ge=1)]
