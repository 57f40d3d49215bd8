"""A census of the connection tracking table: dump, decode and count, again when the dump was disturbed.

Knows when a census is whole and when it is worth another attempt; refuses to
know the parts (:mod:`natobs.kernel.flow_dump`, ``flow_decode``,
``flow_aggregate``) from inside, and when to run.

Loads numpy: nothing that the agent imports when it starts may import this.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from natobs.errors import KernelError
from natobs.kernel.conntrack import read_buckets, read_usage
from natobs.kernel.flow_aggregate import Aggregate, Scope
from natobs.kernel.flow_decode import Decoder
from natobs.kernel.flow_dump import BLOCK_BYTES, Dump, connect
from natobs.kernel.flow_results import Census, Reason, Taking
from natobs.kernel.machine import Machine

_CHANGED_SHARE = 0.1
_CHANGED_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a census may take.

    Args:
        seconds: for all attempts together.
        attempts: dumps begun at most; another is begun when the kernel says that one was interrupted or overrun.
        block_bytes: worked on at a time; memory is about four times as much.
    """

    seconds: float = 30.0
    attempts: int = 3
    block_bytes: int = BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class _Size:
    """What the kernel says of the table; None where it does not."""

    entries: int | None
    buckets: int | None


def take(
    machine: Machine,
    scope: Scope,
    limits: Limits | None = None,
    *,
    progress: Callable[[int], object] = lambda flows: None,
    open_socket: Callable[[], socket.socket] = connect,
) -> Census:
    """Go through the table once.

    Args:
        machine: asked for the number of entries before and after.
        scope: what to look for.
        limits: how much it may take.
        progress: told the number of flows after each block.
        open_socket: gives a socket for each attempt.

    Raises:
        UnavailableError: the kernel has no such table, or refuses to show it to this process.
    """
    limits = limits or Limits()
    start, cpu = time.monotonic(), _cpu_seconds()
    decoder = Decoder()
    attempt = 0
    while True:
        attempt += 1
        aggregate, flows, known = Aggregate(scope), 0, decoder.malformed
        before = _size(machine)
        with open_socket() as connection:
            dump = Dump(connection, start + limits.seconds, limits.block_bytes)
            for frames in dump.blocks():
                found = decoder.decode(frames)
                aggregate.add(found)
                flows += len(found)
                progress(flows)
        after = _size(machine)
        if dump.trouble not in ("interrupted", "overrun") or attempt >= limits.attempts:
            break
    malformed = dump.malformed + decoder.malformed - known
    reason = _reason(dump, malformed, before, after)
    return Census(
        Taking(
            complete=not reason,
            reason=reason,
            attempts=attempt,
            seconds=time.monotonic() - start,
            cpu_seconds=_cpu_seconds() - cpu,
            bytes=dump.bytes,
            messages=dump.messages,
            malformed=malformed,
            entries_before=before.entries,
            entries_after=after.entries,
        ),
        aggregate.figures(),
    )


def _reason(dump: Dump, malformed: int, before: _Size, after: _Size) -> Reason:
    """A flush is not announced by the kernel: the numbers before and after are all there is to see it by."""
    if dump.trouble:
        return dump.trouble
    if malformed:
        return "malformed"
    if before.buckets != after.buckets:
        return "changed"
    if before.entries is not None and after.entries is not None:
        slack = _CHANGED_ENTRIES + _CHANGED_SHARE * max(before.entries, after.entries)
        if abs(after.entries - before.entries) > slack:
            return "changed"
    return ""


def _size(machine: Machine) -> _Size:
    entries = buckets = None
    with suppress(KernelError):
        entries = read_usage(machine).entries
    with suppress(KernelError):
        buckets = read_buckets(machine)
    return _Size(entries, buckets)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
