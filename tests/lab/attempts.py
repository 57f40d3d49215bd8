"""Attempts by the real engine from inside a host of the lab, and a memory of every reason that they failed for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from natobs.lab.lab import Host

Told = dict[str, Any]
"""One attempt, or what one run of several tells; see :mod:`tests.lab.run_attempts`."""

PRODUCED: set[tuple[str, str]] = set()
"""Kind and reason of every failed attempt of this session."""


def attempted(
    host: Host,
    settings: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    prefix: Sequence[str] = (),
    **order: Any,  # noqa: ANN401 - any key of it
) -> Told:
    """Run the order, one round unless it says otherwise; see :mod:`tests.lab.run_attempts`.

    Args:
        host: where.
        settings: of one probe, or of several whose targets are attempted together.
        prefix: a program that the attempts run under.
        order: the rest of it.
    """
    text = json.dumps({"settings": settings, "count": 1} | order)
    done = host.run([*prefix, *host.python("tests.lab.run_attempts", text)], timeout=240)
    told: Told = json.loads(done.stdout)
    PRODUCED.update((each["kind"], each["reason"]) for each in told["attempts"] if each["reason"])
    return told
