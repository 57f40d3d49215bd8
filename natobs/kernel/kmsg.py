r"""Records of the kernel log, as /dev/kmsg gives them.

Source: Documentation/ABI/testing/dev-kmsg, kernel/printk/printk.c
(info_print_ext_header, msg_print_ext_body). A record is
``priority,sequence,microseconds,flags[,…];text`` and may go on with lines of
``" KEY=value"``, which are not kept. The kernel writes bytes outside printable
ASCII, and backslashes, as ``\xNN``; they stay so. Which texts matter is not
known here.
"""

import re
from dataclasses import dataclass

from natobs.errors import FormatError

TEXT_LIMIT = 500
"""Characters of a text that are kept; a kernel line is rarely longer than 200, one from user space may be 1,000."""

_HEAD = re.compile(rb"(\d{1,10}),(\d{1,20}),(\d{1,20}),[^;\n]{0,200};")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SUPPRESSED = re.compile(r"([A-Za-z0-9_.]{1,64}): (\d{1,9}) (?:output lines|callbacks) suppressed")


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the kernel log.

    Args:
        level: 0 (emergency) to 7 (debug).
        facility: 0 for the kernel itself; user space cannot write that one (devkmsg_write makes it 1).
        sequence: number of the record since the start; without gaps as long as none is lost.
        seconds: since the start of the machine, by the scheduler's clock: over weeks it may drift from other
            clocks by minutes, because nothing disciplines it.
        text: at most 500 characters, each printable.
    """

    level: int
    facility: int
    sequence: int
    seconds: float
    text: str


def parse(data: bytes) -> Record:
    """Decode one record.

    Raises:
        FormatError: it does not begin as records do.
    """
    head = _HEAD.match(data)
    if head is None:
        raise FormatError(f"/dev/kmsg: not a record: {data[:40]!r}")
    priority, sequence, microseconds = map(int, head.groups())
    text = data[head.end() :].partition(b"\n")[0][: 4 * TEXT_LIMIT].decode("utf-8", "replace")[:TEXT_LIMIT]
    safe = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return Record(priority & 7, priority >> 3, sequence, microseconds / 1e6, safe)


def suppressed(text: str) -> int:
    """How many messages a line of the kernel's rate limiter says were withheld; 0 for any other line.

    ``net_ratelimit: 12 callbacks suppressed`` (lib/ratelimit.c): the name is that of the limiter, which many
    messages may share, so what the withheld ones said cannot be told.
    """
    found = _SUPPRESSED.search(text)
    return int(found[2]) if found else 0
