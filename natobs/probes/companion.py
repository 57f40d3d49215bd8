"""The second path of a probe: a prober that reaches the same target without the NAT.

Knows which of the two ways there are a definition asks for: another path of this
host, or the NAT's responder; refuses to know what is made of the difference.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from natobs.probe_config import Compare, ProbeSettings
from natobs.probes.environment import Environment, Unnoticed
from natobs.probes.model import Paired, Prober, Target
from natobs.probes.registry import KindByName

_SHARE = 0.25
"""Of the interval: at most so long may a companion hold up the attempt that counts."""


def open_prober(target: Target, kinds: KindByName, environment: Environment) -> Prober:
    """The prober of a target, with its companion where the definition compares two paths.

    Raises:
        ConfigError: the definition asks for something that its kind cannot do.
        SetupError: the kind needs a library that is not installed.
    """
    through = kinds(target.settings.kind).open(target, environment)
    if not target.settings.compare.active:
        return through
    # What it notices (late answers, clock steps) belongs to no attempt of the plan, and so to no series.
    quiet = dataclasses.replace(environment, notices=Unnoticed())
    settings = _companion_settings(target.settings)
    beside = Target(settings, target.host, target.port)
    if settings.compare.responder:
        from natobs.probes.asker import Asker  # noqa: PLC0415 - few probe files need it

        return Paired(through, Asker(beside, quiet), beside)
    return Paired(through, kinds(settings.kind).open(beside, quiet), beside)


def beats(targets: Iterable[Target]) -> Iterator[float]:
    """The intervals of all first attempts, those of companions included, for the check of ``prober.max_rate``."""
    for target in targets:
        yield target.settings.interval_seconds
        if target.settings.compare.active:
            yield target.settings.interval_seconds


def _companion_settings(settings: ProbeSettings) -> ProbeSettings:
    """The definition with the other path, fewer seconds and no retries."""
    compare = settings.compare
    seconds = min(settings.timeout_seconds, settings.interval_seconds * _SHARE)
    if compare.responder:
        return replace(settings, timeout_seconds=seconds, retries=0)
    return replace(
        settings,
        timeout_seconds=seconds,
        retries=0,
        source=compare.source,
        interface=compare.interface,
        mark=compare.mark,
        compare=Compare(),
    )
