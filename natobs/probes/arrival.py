"""When a packet came, by the kernel's stamp, on the clock that time limits are measured with."""

import time

from natobs.errors import FormatError
from natobs.wire import timestamps

_NANOSECOND = 1e-9


def moment(ancillary: timestamps.Ancillary, earliest: float) -> float:
    """When the kernel stamped what was just received, in seconds of the monotonic clock; now where it did not.

    Both clocks are read now, so only a step between arrival and now can be wrong; the bounds catch most of that.

    Args:
        ancillary: of the message.
        earliest: it cannot have come before.
    """
    now, realtime = time.monotonic(), time.time_ns()
    try:
        stamp = timestamps.software_stamp(ancillary)
    except FormatError:
        stamp = None
    if stamp is None:
        return now
    found = now - (realtime - stamp) * _NANOSECOND
    return found if earliest <= found <= now else now
