"""Which alerts silence which, in words: what Alertmanager's rules of inhibition come to for one alert.

Knows what :mod:`natobs.generate.alertmanager.inhibition` makes of causes and
symptoms; a test holds one against the other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from natobs.catalogue.alerting import Alert
from natobs.catalogue.naming import Action
from natobs.catalogue.promql import Scope

_WHERE = {Scope.CLUSTER: "in the same cluster", Scope.NAT: "on the same NAT", Scope.SUBNET: "in the same subnet"}


class Silencer(NamedTuple):
    """An alert that silences another.

    Args:
        name: of the cause.
        scope: whose alerts it silences.
        pages: whether pages are silenced too, and not tickets alone.
    """

    name: str
    scope: Scope
    pages: bool


def silencers(name: str, alerts: Mapping[str, Alert]) -> Iterator[Silencer]:
    """The causes of an alert: those that wake somebody silence all of it, others its tickets."""
    for cause in alerts.values():
        if name in cause.silences:
            own = {level.action for level in cause.levels}
            if own & {Action.PAGE, Action.TICKET}:
                yield Silencer(cause.name, cause.scope, Action.PAGE in own or name in cause.explains)


def sentences(name: str, actions: Iterable[Action], alerts: Mapping[str, Alert]) -> Iterator[str]:
    """What silences an alert with these actions, a sentence for each kind."""
    found = list(silencers(name, alerts))
    pages = Action.PAGE in set(actions)
    for scope, where in _WHERE.items():
        here = [one for one in found if one.scope is scope]
        if strong := [one.name for one in here if one.pages or not pages]:
            yield f"Silenced by {links(strong)} {where}: work on those first."
        if weak := [one.name for one in here if pages and not one.pages]:
            yield f"Its tickets, and not its pages, are silenced by {links(weak)} {where} too."


def links(names: Sequence[str]) -> str:
    """Names that lead to their runbooks."""
    return ", ".join(f"[{name}]({name}.md)" for name in names)
