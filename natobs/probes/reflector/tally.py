"""What a service of the reflector counts, and the closed set of reasons for silence.

Written by one thread, read by others: each count is one number, and a reader may be one event behind.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from natobs.catalogue.metrics import reflector as metric
from natobs.catalogue.types import Sample


class Drop(Enum):
    """Why something was not answered, or was cut off."""

    MALFORMED = "malformed"  # not what the service's protocol wants
    SHORT = "short"  # the reply would be longer than the request
    SOURCE_RATE = "source_rate"  # this source has had its share
    TOTAL_RATE = "total_rate"  # all sources together have
    DESTINATION = "destination"  # sent to a broadcast or multicast address: many would answer
    REPLY = "reply"  # a reflector's reply: answering would begin an endless exchange
    SEND = "send"  # the kernel would not send it: longer than the MTU, no route, port 0
    RECEIVE_BUFFER = "receive_buffer"  # lost in the kernel, which had no more room for us
    CONNECTIONS = "connections"  # as many connections as there may be
    DEADLINE = "deadline"  # a connection that was idle, or open, for too long
    SIZE = "size"  # more bytes than one may ask for
    FAULT = "fault"  # a mistake of the reflector's own; the first is in its log


UDP_DROPS = (
    Drop.MALFORMED,
    Drop.SHORT,
    Drop.SOURCE_RATE,
    Drop.TOTAL_RATE,
    Drop.DESTINATION,
    Drop.REPLY,
    Drop.SEND,
    Drop.RECEIVE_BUFFER,
    Drop.FAULT,
)
ECHO_DROPS = (Drop.SOURCE_RATE, Drop.TOTAL_RATE, Drop.CONNECTIONS, Drop.DEADLINE, Drop.SIZE)
HTTP_DROPS = (Drop.SOURCE_RATE, Drop.TOTAL_RATE, Drop.MALFORMED, Drop.SIZE)


@dataclass(slots=True)
class Tally:
    """Counts of one service.

    Args:
        service: a value of the label ``service``.
        reasons: those that this service can have.
    """

    service: str
    reasons: Iterable[Drop]
    requests: int = 0
    replies: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    dropped: dict[Drop, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dropped = dict.fromkeys(self.reasons, 0)

    def drop(self, reason: Drop) -> None:
        """Count one that was not answered."""
        self.dropped[reason] += 1

    def samples(self) -> Iterator[Sample]:
        """Everything that was counted, zeros included."""
        yield metric.REQUESTS.sample(self.requests, self.service)
        yield metric.REPLIES.sample(self.replies, self.service)
        yield metric.TRANSMIT_BYTES.sample(self.sent_bytes, self.service)
        if self.service in metric.RECEIVE_BYTES.labels[0].domain:
            yield metric.RECEIVE_BYTES.sample(self.received_bytes, self.service)
        for reason, count in self.dropped.items():
            yield metric.DROPPED.sample(count, self.service, reason.value)
