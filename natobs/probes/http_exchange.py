"""One HTTP request and its answer, whatever the version: what both codecs take and give.

Knows the parts of an answer; refuses to know sockets, and what is expected.
"""

from dataclasses import dataclass, field
from typing import Protocol

HEAD_BYTES = 32_768
"""The longest head of an answer that is accepted; common servers send at most 16 KiB."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Args:
        method: ``GET`` or ``HEAD``.
        scheme: ``http`` or ``https``.
        authority: host, with the port where it is not the scheme's.
        path: path and query.
        headers: lower-case names and values, without ``host``.
    """

    method: str
    scheme: str
    authority: str
    path: str
    headers: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Answer:
    """What has come of the answer so far.

    Args:
        status: of the final answer; 0 before it came.
        headers: lower-case names; of equal ones the last.
        body: as far as it came.
        complete: whether the answer's end has come.
        until_close: whether nothing but the end of the connection ends the body.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    until_close: bool = False


class Exchange(Protocol):
    """A codec in the middle of one exchange; does no input and output itself."""

    answer: Answer

    def begin(self) -> bytes:
        """The request's bytes."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the answer, none for the end of the connection; gives bytes to send back.

        Raises:
            FormatError: these bytes, or their end, are no answer.
        """
