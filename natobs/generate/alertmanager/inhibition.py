"""Which alerts silence which others: rules for Alertmanager, from the causes and symptoms of the catalogue.

Four kinds of rules, and nothing else silences anything:

* declared maintenance silences all other alerts of its NAT;
* a cause silences its symptoms. Where it wakes somebody, that is enough, and both
  pages and tickets of the symptoms are silent; where it is a ticket, tickets alone;
* a ticket may silence pages where the catalogue says that it explains them;
* a page silences the tickets of the same indicator, with the same labels.

Notices that stop risky changes are for machines: only maintenance silences them.

An alert has all labels of its scope, or is no source: Alertmanager takes a label
that is missing on both sides for equal, and a source without ``nat`` would
silence every NAT.

Source: https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from natobs.catalogue.alerting import Alert
from natobs.catalogue.naming import ACTION, SLI, Action
from natobs.catalogue.promql import Scope
from natobs.errors import CatalogueError
from natobs.generate.alertmanager.notices import ALERTNAME, Notice, notices
from natobs.generate.settings import Plan

MAINTENANCE = "NatMaintenance"
_WIDTH = {Scope.SUBNET: 0, Scope.NAT: 1, Scope.CLUSTER: 2}
_TOLD = (Action.PAGE, Action.TICKET)
"""What reaches a person."""


@dataclass(frozen=True, slots=True)
class Inhibition:
    """One rule.

    Args:
        why: a sentence for the reader of the file.
        source: matchers of the alerts that silence.
        target: matchers of the alerts that are silenced.
        equal: labels that must have the same value on both.
    """

    why: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...]


def inhibitions(plan: Plan) -> Iterator[Inhibition]:
    """All rules.

    Raises:
        CatalogueError: an alert silences one of a wider scope.
    """
    seen = notices(plan)
    if any(notice.name == MAINTENANCE for notice in seen):
        yield Inhibition(
            "Declared maintenance of a NAT silences all of it.",
            (f'{ALERTNAME}="{MAINTENANCE}"', *_complete(Scope.NAT)),
            (f'{ALERTNAME}!="{MAINTENANCE}"',),
            plan.rendering.labels(Scope.NAT),
        )
    yield from _causes(plan, seen)
    for scope in Scope:
        yield from _same_indicator(plan, tuple(notice for notice in seen if notice.scope is scope and notice.sli))


def _same_indicator(plan: Plan, seen: tuple[Notice, ...]) -> Iterator[Inhibition]:
    """Pages of one scope silence tickets of it. By name: without its label, a subnet would look like a NAT."""

    def kinds(action: Action) -> dict[tuple[str, tuple[str, ...]], list[str]]:
        found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for notice in seen:
            if notice.action is action:
                found.setdefault((notice.sli, notice.extra), []).append(notice.name)
        return found

    pages, tickets = kinds(Action.PAGE), kinds(Action.TICKET)
    if common := sorted(pages.keys() & tickets.keys()):
        scope = seen[0].scope
        sources, targets = (sorted({name for kind in common for name in by[kind]}) for by in (pages, tickets))
        yield Inhibition(
            "A page silences the tickets of the same indicator, where all labels that tell things apart are the same.",
            (_one_of(ALERTNAME, *sources), _one_of(ACTION, "page"), *_complete(scope)),
            (_one_of(ALERTNAME, *targets), _one_of(ACTION, "ticket")),
            (SLI, *plan.rendering.labels(scope), *sorted({label for _sli, extra in common for label in extra})),
        )


@dataclass(frozen=True, slots=True)
class _Relation:
    """Causes with these actions silence these symptoms with those actions; causes of one scope, merged by the rest."""

    scope: Scope
    cause: tuple[Action, ...]
    symptoms: tuple[str, ...]
    silent: tuple[Action, ...]


def _causes(plan: Plan, seen: tuple[Notice, ...]) -> Iterator[Inhibition]:
    levels: dict[str, set[Action]] = {}
    for notice in seen:
        levels.setdefault(notice.name, set()).add(notice.action)
    width = {notice.name: _WIDTH[notice.scope] for notice in seen}
    merged: dict[_Relation, list[str]] = {}
    for alert in plan.alerts:
        wider = [name for name in alert.silences if width.get(name, 0) > _WIDTH[alert.scope]]
        if wider:
            raise CatalogueError(f"alert {alert.name}: it silences {', '.join(wider)}, of a wider scope than its own")
        for relation in _relations(alert, levels):
            merged.setdefault(relation, []).append(alert.name)
    for relation, names in merged.items():
        yield Inhibition(
            _why(relation),
            (
                _one_of(ALERTNAME, *names),
                _one_of(ACTION, *(action.value for action in relation.cause)),
                *_complete(relation.scope),
            ),
            (
                _one_of(ALERTNAME, *relation.symptoms),
                _one_of(ACTION, *(action.value for action in relation.silent)),
            ),
            plan.rendering.labels(relation.scope),
        )


def _relations(alert: Alert, levels: dict[str, set[Action]]) -> Iterator[_Relation]:
    """What one alert silences, by what becomes of it."""
    own = {level.action for level in alert.levels}

    def among(names: Iterable[str], *actions: Action) -> tuple[str, ...]:
        return tuple(sorted(name for name in names if levels.get(name, set()) & set(actions)))

    page, ticket = _TOLD
    paged = among(alert.silences, page)
    ticketed = among(set(alert.silences) - set(alert.explains), ticket)
    if own == {page} and (both := among(alert.silences, *_TOLD)):
        yield _Relation(alert.scope, (page,), both, _TOLD)
        return
    if page in own and paged:
        yield _Relation(alert.scope, (page,), paged, _TOLD)
    if ticket in own and ticketed:
        yield _Relation(alert.scope, _TOLD, ticketed, (ticket,))
    if explained := among(alert.explains, *_TOLD):
        yield _Relation(alert.scope, (ticket,), explained, _TOLD)


def _why(relation: _Relation) -> str:
    if relation.cause == (Action.TICKET,):
        return "The only ticket that silences pages too: it tells of trouble that is somebody else's."
    where = {Scope.CLUSTER: "in the same cluster", Scope.NAT: "on the same NAT", Scope.SUBNET: "in the same subnet"}
    what = {_TOLD: "pages and tickets", (Action.TICKET,): "tickets"}
    return f"Causes silence {what[relation.silent]} of their symptoms {where[relation.scope]}."


def _complete(scope: Scope) -> Iterator[str]:
    """Matchers of alerts that have the labels of a scope."""
    return (f'{label}!=""' for label in scope.value)


def _one_of(label: str, *values: str) -> str:
    return f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"'
