"""Attempts beside any plan: some targets, some times, then the end.

Knows the engine; refuses to know who asked and how the answer is shown.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from natobs.probes.engine import Engine
from natobs.probes.environment import Environment, Unnoticed
from natobs.probes.model import Attempt, Target
from natobs.probes.plan import Plan
from natobs.probes.registry import KindByName
from natobs.probes.resolve import Resolver

_RESOLVE_SECONDS = 60.0
_RATE = 1e6
"""Nobody plans here: whoever calls decides how many attempts there are."""


def run(  # noqa: PLR0913 - whom and how often, and with what
    targets: Sequence[Target],
    kinds: KindByName,
    report: Callable[[Attempt], None],
    *,
    count: int = 1,
    interval: float = 1.0,
    resolver: Resolver | None = None,
) -> None:
    """Attempt every target so many times, and return when the last attempt has ended. Blocks.

    Args:
        targets: with ``retries`` of 0; attempts at one target never overlap.
        kinds: finds a kind by its name; used by nobody else meanwhile.
        report: called with each attempt as it ends.
        count: attempts at each target.
        interval: seconds between the beginnings of two attempts at one target.
        resolver: that others use too; one of its own when absent, of which threads stay behind while a name server
            hangs.

    Raises:
        ConfigError: a target asks for something that its kind cannot do.
        SetupError: a kind needs a library that is not installed.
    """
    if resolver is None:
        with closing(Resolver(_RESOLVE_SECONDS)) as own:
            run(targets, kinds, report, count=count, interval=interval, resolver=own)
        return
    environment = Environment(resolver, Unnoticed())
    probers = [kinds(target.settings.kind).open(target, environment) for target in targets]
    start = time.monotonic()
    engine = Engine(targets, probers, Plan((), _RATE, start), report)
    try:
        for turn in range(count):
            beat = start + turn * interval
            while (now := time.monotonic()) < beat:
                engine.turn(beat - now)
            for index in range(len(targets)):
                engine.begin(index)
        while engine.in_flight:
            engine.turn(None)
    finally:
        engine.close()
