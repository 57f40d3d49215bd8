"""What must hold after any fault of natobs itself, as pure functions of what was seen.

Knows when a counter may begin anew, how much memory may grow, and what a crash
looks like in a log. Refuses to know how it was seen.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from natobs.catalogue.metrics import accounting
from natobs.catalogue.types import Kind, Start, metrics_of
from natobs.generate.metric_reference import modules
from natobs.lab.selffaults.memory import MEGABYTE, Resident
from natobs.lab.stack.api import Series

_CRASH = re.compile(r"Traceback \(most recent call last\)|\b(?:ERROR|CRITICAL)\b|Segmentation fault|MemoryError")
_MOST_QUOTED = 200
_COME_AND_GO = {
    row.name for row in (accounting.DESTINATION_ATTEMPTS, accounting.DESTINATION_ANSWERED, accounting.HOST_ATTEMPTS)
}
"""Series of the busiest keys, which start at zero with each promotion."""
_UNTOLD = frozenset({"__name__", "job", "nat_cluster", "nat"})
_PARTS_OF_A_HISTOGRAM = ("_count", "_sum", "_bucket")


def starts() -> dict[str, Start]:
    """Give when each series that counts was zero, by the names that Prometheus knows."""
    found: dict[str, Start] = {}
    for row in (row for module in modules() for row in metrics_of(module)):
        if row.kind is Kind.COUNTER:
            found[row.name] = row.start
        elif row.kind is Kind.HISTOGRAM:
            found |= {f"{row.name}{part}": row.start for part in _PARTS_OF_A_HISTOGRAM}
    return found


def falls(counters: Sequence[Series]) -> list[tuple[Mapping[str, str], int]]:
    """Give the labels of the series that fell, and how often: what ``resets()`` counts, which forgets the name.

    Left out is a busy key that was promoted anew, which starts at zero: all that it says after its fall was counted
    since the sample before, so that Prometheus credits it rightly. It cannot be more than what all keys counted.

    Args:
        counters: series with all their samples.
    """
    totals: dict[tuple[str, float], float] = {}
    for series in counters:
        if series.labels["__name__"] == accounting.ATTEMPTS.name:
            for time, value in series.samples:
                key = series.labels.get("instance", ""), time
                totals[key] = totals.get(key, 0.0) + value
    found: list[tuple[Mapping[str, str], int]] = []
    for series in counters:
        instance, busy = series.labels.get("instance", ""), series.labels["__name__"] in _COME_AND_GO
        count = 0
        for (before, earlier), (now, later) in pairwise(series.samples):
            counted = totals.get((instance, now), 0.0) - totals.get((instance, before), 0.0)
            count += later < earlier and not (busy and later <= counted)
        if count:
            found.append((series.labels, count))
    return found


def backwards(resets: Sequence[tuple[Mapping[str, str], int]], restarts: Mapping[str, int]) -> list[str]:
    """Say which counters went backwards where Prometheus does not expect it.

    Args:
        resets: labels of the series that fell, all of them of natobs, and how often.
        restarts: how often the process behind each value of ``instance`` was started anew.
    """
    known = starts()
    found = []
    for labels, count in resets:
        name, instance = labels["__name__"], labels.get("instance", "")
        allowed = restarts.get(instance, 0) if known.get(name) is Start.PROCESS else 0
        if name in known and count > allowed:
            shown = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key not in _UNTOLD)
            found.append(f"{name} of {shown} fell {count} times, {allowed} were expected")
    return found


def grown(memory: Mapping[str, Resident], peak_megabytes: float, rest_megabytes: float) -> list[str]:
    """Say which programs took more memory than they may.

    Args:
        memory: of each program, by name.
        peak_megabytes: by how much it may grow meanwhile.
        rest_megabytes: by how much it may have grown when all is over.
    """
    found = []
    for name, one in memory.items():
        for word, size, allowed in (
            ("at its peak", one.peak, peak_megabytes),
            ("afterwards", one.after, rest_megabytes),
        ):
            more = (size - one.before) / MEGABYTE
            if more > allowed:
                found.append(f"{name} held {more:.1f} MB more {word}; {allowed:g} MB are allowed")
    return found


def crashed(name: str, said: str) -> list[str]:
    """Say what in the log of a program tells of a crash."""
    match = _CRASH.search(said)
    if match is None:
        return []
    quoted = " ".join(said[match.start() :].split())
    return [f"{name} said: {quoted[:_MOST_QUOTED]}"]
