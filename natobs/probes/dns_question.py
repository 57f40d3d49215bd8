"""A DNS question as a probe asks it, which messages are answers to it, and whether an answer is the expected one.

Bytes in, words out: knows the frame of a message (RFC 1035), and dnspython what
is in a record. Refuses to know how messages travel.
"""

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import regex

from natobs.errors import ConfigError, FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes.exchange import Key
from natobs.probes.model import Reason

LARGEST_UDP = 1232
"""Offered by EDNS: fits every path unfragmented (DNS Flag Day 2020)."""
_MOST_RECORDS = 100
_MOST_BYTES = 8_192
"""Of one answer. All probes wait while it is read: at the worst, of bytes made for that, 30 ms (*measured*)."""
_SEARCH_SECONDS = 0.02
_HEADER = 12
_LONGEST_NAME = 255
_LONGEST_LABEL = 63
_POINTER = 0xC0
_QUESTION_END = 4
"""Bytes of type and class."""
_SLOW = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3, dns.rdatatype.CSYNC)
"""With a bit for each of 65,536 types, which as text takes dnspython 0.2 s (*measured*)."""
_RECORD = struct.Struct(">HHIH")
"""Type, class, time to live and length of the data."""
_RESPONSE, _OPCODE, _TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0200, 0x000F


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what the answer must be.

    Args:
        name: asked for.
        kind: record type.
        rcode: that is expected.
        record: what the text of one record must match; None accepts any answer, also an empty one.
        mixed_case: whether the name is sent in random case, which the answer must repeat.
    """

    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    rcode: dns.rcode.Rcode
    record: regex.Pattern[str] | None
    mixed_case: bool = False

    @classmethod
    def of(cls, settings: ProbeSettings) -> "Question":
        """Read a definition.

        Raises:
            ConfigError: name, type, code or expression are none.
        """
        asked, expect = settings.dns, settings.expect
        try:
            name = dns.name.from_text(asked.name)
            kind = dns.rdatatype.from_text(asked.type)
            rcode = dns.rcode.from_text(expect.rcode)
            record = regex.compile(expect.record) if expect.record else None
        except (dns.exception.DNSException, ValueError, regex.error) as error:
            raise ConfigError(f"probe {settings.name}: dns or expect: {_words(error)}") from error
        return cls(name, kind, rcode, record, asked.mixed_case)

    def message(self) -> bytes:
        """A query with a new random identifier."""
        name = dns.name.Name([_mixed(label) for label in self.name.labels]) if self.mixed_case else self.name
        query = dns.message.make_query(name, self.kind, use_edns=0, payload=LARGEST_UDP, id=secrets.randbits(16))
        return query.to_wire()

    def key(self, message: bytes) -> Key:
        """Identifier and question of a query or a response.

        Raises:
            FormatError: there is not exactly one question, or it is cut off.
        """
        end = _end_of_name(message)
        name = message[_HEADER:end]
        return message[:2] + (name if self.mixed_case else name.lower()) + message[end : end + 4]

    def reader(self, query: bytes) -> "Reader":
        """What reads the answers to a query."""
        return Reader(self, query)

    def judge(self, response: bytes) -> tuple[Reason, str] | None:
        """What is wrong with a response whose key is right; None where nothing is."""
        if _flags(response) & _TRUNCATED:
            return Reason.BODY, "the answer is truncated; ask by tcp"
        try:
            rcode, texts = _read(response, self.kind)
        except FormatError as error:
            return Reason.DNS, f"malformed answer: {error}"
        if rcode != self.rcode:
            return Reason.STATUS, f"response code {dns.rcode.to_text(rcode)}, expected {dns.rcode.to_text(self.rcode)}"
        if response[4:6] == b"\0\0":
            return Reason.DNS, "malformed answer: the question is missing"
        if self.record is not None and not _matches(self.record, texts):
            return Reason.BODY, f"{_said(texts)}; expected one that matches {self.record.pattern!r}"
        return None


class Reader:
    """Tells answers to one query from everything else that comes, and counts the latter."""

    def __init__(self, question: Question, query: bytes) -> None:
        self._question = question
        self._query = query
        self.key = question.key(query)
        self.strangers = 0

    def __call__(self, data: bytes) -> tuple[Key, bytes]:
        """Give the key of a response and the response itself.

        Raises:
            FormatError: it is none.
        """
        self.strangers += 1
        if len(data) < _HEADER or not _flags(data) & _RESPONSE or _flags(data) & _OPCODE:
            raise FormatError("no DNS response to a query")
        bare = data[:2] == self._query[:2] and not any(data[4:_HEADER]) and _flags(data) & _RCODE
        # Servers that do not understand a query may answer with the header alone.
        key = self.key if bare else self._question.key(data)
        self.strangers -= key == self.key
        return key, data


def _read(response: bytes, asked: dns.rdatatype.RdataType) -> tuple[dns.rcode.Rcode, list[str]]:
    """The code, and the text of each record of the answer section that can be meant; FormatError where it is not DNS.

    dnspython reads records, but not the message: in the sets that it makes of them each name is hashed in a time that
    grows with the square of its labels, 4.6 ms for a record of 14 bytes (*measured*).
    """
    counts = [int.from_bytes(response[place : place + 2], "big") for place in range(6, _HEADER, 2)]
    if sum(counts) > _MOST_RECORDS or len(response) > _MOST_BYTES:
        raise FormatError(
            f"it has {sum(counts)} records in {len(response)} bytes; at most {_MOST_RECORDS} and {_MOST_BYTES} are read"
        )
    place = _HEADER if response[4:6] == b"\0\0" else _end_of_name(response) + _QUESTION_END
    extended, texts = 0, []
    for number in range(sum(counts)):
        place = _after_name(response, place) + _RECORD.size
        if place > len(response):
            raise FormatError("a record is cut off")
        kind, group, ttl, size = _RECORD.unpack_from(response, place - _RECORD.size)
        if place + size > len(response):
            raise FormatError("a record is cut off")
        if number < counts[0] and _is_meant(kind, asked):
            texts.append(_text(response, group, kind, place, size))
        elif kind == dns.rdatatype.OPT:
            extended = ttl  # its upper bits are those of the code (RFC 6891, 6.1.3)
        place += size
    if place != len(response):
        raise FormatError("something stands behind the last record")
    return dns.rcode.from_flags(_flags(response), extended), texts


def _is_meant(kind: int, asked: dns.rdatatype.RdataType) -> bool:
    """Whether a record is of the type that was asked for, or leads there; not all that somebody chooses to add."""
    if asked == dns.rdatatype.ANY:
        return kind not in _SLOW
    return kind in (asked, dns.rdatatype.CNAME, dns.rdatatype.DNAME)


def _text(message: bytes, group: int, kind: int, place: int, size: int) -> str:
    """A record of some class and type as a zone file has it."""
    try:
        of = dns.rdataclass.RdataClass.make(group), dns.rdatatype.RdataType.make(kind)
        return dns.rdata.from_wire(*of, message, place, size).to_text()
    except Exception as error:  # parsers of a hundred record types, on bytes from anybody
        raise FormatError(_words(error)) from error


def _after_name(message: bytes, place: int) -> int:
    """Where a name ends that may be compressed; what it is, is of no interest."""
    while place < len(message) and 0 < message[place] <= _LONGEST_LABEL:
        place += 1 + message[place]
    if place < len(message) and (not message[place] or message[place] >= _POINTER):
        return place + (2 if message[place] else 1)
    raise FormatError("a name is cut off or has a label of an unknown type")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _flags(message: bytes) -> int:
    return int.from_bytes(message[2:4], "big")


def _end_of_name(message: bytes) -> int:
    """Where the name of the only question ends; its type and class are then there too."""
    place = _HEADER
    if len(message) > place and message[4:6] == b"\0\1":
        while place < len(message) and 0 < message[place] <= _LONGEST_LABEL:
            place += 1 + message[place]
        if place + 5 <= len(message) and message[place] == 0 and place - _HEADER < _LONGEST_NAME:
            return place + 1
    raise FormatError("DNS message without exactly one whole question")


def _mixed(label: bytes) -> bytes:
    return bytes(byte ^ 0x20 if chr(byte).isalpha() and byte < 0x80 and secrets.randbits(1) else byte for byte in label)  # noqa: PLR2004 - ASCII


def _said(texts: list[str]) -> str:
    if not texts:
        return "no record"
    shown = ", ".join(text[:80] for text in texts[:3])
    return f"the records are {shown}{' and more' if len(texts) > 3 else ''}"  # noqa: PLR2004 - as many as are shown


def _matches(record: regex.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether a record matches; a pattern that takes too long matches nothing (``re`` could not be bounded)."""
    try:
        return any(record.search(text, timeout=_SEARCH_SECONDS) for text in texts)
    except TimeoutError:
        return False
