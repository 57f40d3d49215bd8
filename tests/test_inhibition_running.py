"""A real Alertmanager silences exactly what the model of ``inhibiting`` says, for every pair of alerts, near and far.

Alertmanager names one source for each silenced target. So that it can be but one,
each source gets a world of its own, a cluster with a name that nobody else has,
and is joined there only by targets that cannot silence one another.
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from natobs.config.fleet import Fleet, Service
from natobs.generate.alertmanager.files import configuration
from natobs.generate.alertmanager.notices import Notice, notices
from natobs.generate.settings import plan
from natobs.lab.stack.api import Alertmanager
from tests.conftest import Figure
from tests.inhibiting import HERE, Labels, Place, Silenced, alert, parse, silenced
from tests.owned import server

PLAN = plan(Fleet(services=(Service(name="shop"),)))
TEXT = configuration(PLAN)
RULES = parse(yaml.safe_load(TEXT))
KINDS = notices(PLAN)
BATCH = 4000
"""Alerts at a time: Alertmanager compares each with all sources that it has."""
AROUND = (HERE, HERE._replace(thing="other"), HERE._replace(subnet="10.0.2.0/24"), HERE._replace(nat="nat-2"))
"""Where targets are. In other clusters are all the other worlds."""
LOST: tuple[tuple[str, ...], ...] = ((), ("nat",), ("subnet",))
"""Labels that source and targets have lost; where they have, targets are at the same place alone."""
Seen = Mapping[Labels, Labels]
"""Silenced alerts to what silences them."""


def layers(kinds: Iterable[Notice]) -> list[list[Notice]]:
    """All notices, in groups of which no member silences another in the same place."""
    found: list[list[Notice]] = []
    by = {alert(kind): kind for kind in kinds}
    pairs = {(by[target], by[one]) for target, ones in silenced(RULES, by).items() for one in ones}
    for kind in by.values():
        fitting = (layer for layer in found if not any({(kind, other), (other, kind)} & pairs for other in layer))
        if (layer := next(fitting, None)) is None:
            found.append(layer := [])
        layer.append(kind)
    return found


def worlds(sources: Iterable[Notice]) -> Iterator[list[Labels]]:
    """A source and the targets that surround it, for each source and with every target somewhere."""
    number = itertools.count(1)
    for source, layer, lost in itertools.product(sources, layers(KINDS), LOST):
        if not set(lost) <= set(source.scope.value):
            continue
        cluster = f"world-{next(number)}"
        places = [Place(cluster, *place[1:]) for place in (AROUND[:1] if lost else AROUND)]
        lone = alert(source, places[0], lost)
        yield list(dict.fromkeys((lone, *(alert(target, place, lost) for target in layer for place in places))))


def batches(of: Iterable[list[Labels]]) -> Iterator[list[list[Labels]]]:
    """Worlds, so many at a time."""
    batch: list[list[Labels]] = []
    for world in of:
        if sum(map(len, batch)) + len(world) > BATCH:
            yield batch
            batch = []
        batch.append(world)
    yield batch


def agrees(seen: Seen, expected: Silenced) -> bool:
    """Whether the same alerts are silenced, each by what should silence it."""
    return seen.keys() == expected.keys() and all(by in expected[target] for target, by in seen.items())


def ask(text: str, alerts: list[Labels], folder: Path) -> Seen:
    """What a fresh Alertmanager says of these alerts."""
    folder.mkdir(exist_ok=True)
    config = folder / "alertmanager.yml"
    config.write_text(text, "utf-8")
    quiet = ("--cluster.listen-address=", f"--storage.path={folder}", f"--config.file={config}")
    # Its inhibitor takes alerts one by one: those from before it listens in any order, later ones as they come.
    # Once the last of them is silenced all have been taken; what was asked before may miss some.
    with server("prometheus-alertmanager", *quiet, log=folder / "log") as url:
        manager = Alertmanager(f"{url}/", patience=60)  # it compares thousands with thousands for each answer
        for place, posted in (("first", []), ("last", alerts)):
            flag, cause = (_flag(name, place) for name in ("NatLinkDown", "NatMaintenance"))
            manager.post([dict(one) for one in (*posted, flag, cause)])
            deadline = time.monotonic() + 120
            while flag not in _seen(manager.alerts()):
                assert time.monotonic() < deadline
        seen = _seen(manager.alerts())
    asked = set(alerts)
    return {target: by for target, by in seen.items() if target in asked}


def _flag(name: str, cluster: str) -> Labels:
    return next(alert(kind, Place(cluster, "nat", "subnet")) for kind in KINDS if kind.name == name)


def _seen(listed: list[dict[str, Any]]) -> Seen:
    by_id = {one["fingerprint"]: frozenset(one["labels"].items()) for one in listed}
    causes = {one["fingerprint"]: one["status"]["inhibitedBy"] for one in listed}
    return {by_id[target]: by_id[by[0]] for target, by in causes.items() if by}


def test_every_pair_of_alerts(tmp_path: Path, figure: Figure) -> None:
    asked, pairs, began = 0, 0, time.monotonic()
    for number, batch in enumerate(batches(worlds(KINDS))):
        alerts = [one for world in batch for one in world]
        expected = silenced(RULES, alerts)
        # The source of a world may be a target of several; any other target has this source alone.
        for source, *targets in batch:
            assert all(expected.get(target, {source}) == {source} for target in targets)
        assert agrees(ask(TEXT, alerts, tmp_path / str(number)), expected)
        asked, pairs = asked + len(alerts), pairs + len(expected)
    assert pairs > len(KINDS)
    figure(f"{asked} alerts, {pairs} silenced as expected, {time.monotonic() - began:.0f} s")


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        ("NatTableFull", '"NatTableFull"', '"NatTableEvicting"'),
        ("NatMaintenance", 'nat!=""', 'nat=~".*"'),
        ("NatMaintenance", "equal: [nat_cluster, nat]", "equal: [nat_cluster]"),
        ("NatTableFull", 'natobs_action=~"page|ticket"', 'natobs_action="ticket"'),
    ],
)
def test_another_configuration_behaves_otherwise(tmp_path: Path, source: str, right: str, wrong: str) -> None:
    """The comparison can fail: a single rule is changed."""
    changed = TEXT.replace(right, wrong, 1)
    assert changed != TEXT
    asked = [one for world in worlds(kind for kind in KINDS if kind.name == source) for one in world]
    seen = ask(changed, asked, tmp_path)
    assert agrees(seen, silenced(parse(yaml.safe_load(changed)), asked))
    assert not agrees(seen, silenced(RULES, asked))
