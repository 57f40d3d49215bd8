"""Who is probed, and what another list of targets changes about it. Pure: it opens nothing and knows no time.

A target keeps its index, and with it its prober, beat and attempts under way,
for as long as it is probed in the same way; indexes are never used twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from natobs.probe_config import ProbeSettings
from natobs.probes.model import Target

_Key = tuple[str, str]
"""Name of the probe and of the target."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What another list changes.

    Args:
        removed: indexes of targets that are gone, or are to be probed in another way.
        added: new targets, and those of a new way, by their new indexes.
        renewed: targets that stay though their definition reads differently, by their indexes.
    """

    removed: frozenset[int]
    added: dict[int, Target]
    renewed: dict[int, Target]


class Roster:
    """The targets with their indexes.

    Args:
        targets: those that are probed from the beginning; their places are their indexes.
    """

    def __init__(self, targets: Sequence[Target] = ()) -> None:
        self._places = {_key(target): (index, target) for index, target in enumerate(targets)}
        self._next = len(targets)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def targets(self) -> list[Target]:
        """Who is probed."""
        return [target for _index, target in self._places.values()]

    def compare(self, wanted: Sequence[Target], *, afresh: bool = False) -> Difference:
        """What it takes to probe these instead; nothing changes yet.

        Args:
            wanted: no two of the same probe and name.
            afresh: targets whose definition names a file begin anew: the file may hold something else now.
        """
        ways: dict[int, ProbeSettings] = {}
        added: dict[int, Target] = {}
        renewed: dict[int, Target] = {}
        kept: set[int] = set()
        for target in wanted:
            place = self._places.get(_key(target))
            if place is None or not _alike(place[1], target, ways) or (afresh and target.settings.tls.ca_file):
                added[self._next + len(added)] = target
                continue
            index, known = place
            kept.add(index)
            if known.settings is not target.settings and known != target:
                renewed[index] = target
        gone = frozenset(index for index, _target in self._places.values() if index not in kept)
        return Difference(gone, added, renewed)

    def change(self, wanted: Sequence[Target], difference: Difference) -> None:
        """Probe these from now on.

        Args:
            wanted: what the difference was made from.
            difference: of :meth:`compare`, with nothing changed in between.
        """
        added = {_key(target): index for index, target in difference.added.items()}
        self._places = {
            key: (added[key] if key in added else self._places[key][0], target)
            for key, target in ((_key(target), target) for target in wanted)
        }
        self._next += len(added)


def _key(target: Target) -> _Key:
    return target.settings.name, target.name


def _alike(known: Target, wanted: Target, ways: dict[int, ProbeSettings]) -> bool:
    """Whether two targets of the same name are probed in the same way."""
    if known.settings is wanted.settings:
        return True
    return (known.host, known.port) == (wanted.host, wanted.port) and _way(known.settings, ways) == _way(
        wanted.settings, ways
    )


def _way(settings: ProbeSettings, ways: dict[int, ProbeSettings]) -> ProbeSettings:
    """The definition without what says whom to probe and how that is shown, made once for all targets of it."""
    if id(settings) not in ways:
        ways[id(settings)] = replace(settings, targets=("-",), targets_file="", targets_url="", critical=False)
    return ways[id(settings)]
