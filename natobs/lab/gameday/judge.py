"""From what reached the pager to a verdict: which expected alert came when, and what came that nobody expected.

Pure. Knows labels of alerts and the receivers of natobs' Alertmanager configuration.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from natobs.catalogue.naming import ACTION, Action
from natobs.lab.faults.expected import Expectation
from natobs.lab.gameday.model import Expected, Notice
from natobs.lab.stack.pager import Page

PEOPLE = (Action.PAGE.value, Action.TICKET.value)
"""Actions that somebody is told of."""
CONSTANT = frozenset(
    {"__name__", "alertname", "alertstate", "severity", ACTION, "sli", "fault", "nat_cluster", "job", "instance"}
)
"""Labels that say nothing about where an alert is from."""


class Steps(NamedTuple):
    """When the condition of an alert held first, and when Prometheus fired; seconds after the epoch, None for never."""

    pending: float | None
    firing: float | None


def matches(expectation: Expectation, labels: Mapping[str, str]) -> bool:
    """Whether an alert with these labels is the expected one."""
    wanted = {"alertname": expectation.alert, ACTION: expectation.action, **dict(expectation.labels)}
    return wanted.items() <= labels.items()


def expected(expectation: Expectation, pages: Sequence[Page], steps: Steps, began: float, healed: float) -> Expected:
    """What became of one expectation.

    Args:
        expectation: the alert.
        pages: all that reached the pager, the oldest first.
        steps: of the alert in Prometheus.
        began: when the fault began, seconds after the epoch.
        healed: when it was healed.
    """
    mine = [page for page in pages if page.time >= began and matches(expectation, page.labels)]
    came = [page.time for page in mine if page.status == "firing"]
    over = [page.time for page in mine if page.status == "resolved"]
    # Alertmanager tells of the same beginning again, as when another alert joins its group.
    begun = {(frozenset(page.labels.items()), page.starts_at) for page in mine if page.status == "firing"}

    def since(moment: float | None) -> float | None:
        return None if moment is None else round(moment - began, 1)

    return Expected(
        alert=expectation.alert,
        action=expectation.action,
        labels=dict(expectation.labels),
        metric=since(steps.pending),
        firing=since(steps.firing),
        notified=since(min(came, default=None)),
        resolved=None if not over or not came else round(max(over) - healed, 1),
        begins=max(Counter(labels for labels, _ in begun).values(), default=0),
    )


def surprises(expectations: Sequence[Expectation], pages: Iterable[Page], began: float) -> list[Notice]:
    """What somebody was told of and nobody expected: each alert once, as it came first.

    A ticket of the very condition that pages is none: usage that falls past 90 % is above 75 % for a while.
    """

    def known(page: Page) -> bool:
        as_page = {**page.labels, ACTION: Action.PAGE.value}
        return page.time >= began and any(
            matches(one, labels) for one in expectations for labels in (page.labels, as_page)
        )

    told = (page for page in pages if page.labels.get(ACTION) in PEOPLE and not _on_a_budget(page))
    return _first((page for page in told if not known(page)), began)


def budgets(pages: Iterable[Page], began: float) -> list[Notice]:
    """Notices and tickets on error budgets, each alert once."""
    return _first((page for page in pages if _on_a_budget(page)), began)


def _first(pages: Iterable[Page], began: float) -> list[Notice]:
    found: dict[frozenset[tuple[str, str]], Notice] = {}
    for page in pages:
        if page.status == "firing":
            found.setdefault(frozenset(page.labels.items()), notice(page.labels, page.time - began))
    return list(found.values())


def _on_a_budget(page: Page) -> bool:
    """Whether it tells how much of a budget is spent; a page because one burns says that something is wrong now."""
    return page.name.endswith("Burn") and page.labels.get(ACTION) != Action.PAGE.value


def notice(labels: Mapping[str, str], seconds: float) -> Notice:
    """An alert as it is reported."""
    telling = {name: value for name, value in sorted(labels.items()) if name not in CONSTANT}
    return Notice(labels["alertname"], labels.get(ACTION, ""), telling, round(seconds, 1))


def open_alerts(pages: Iterable[Page]) -> Iterator[str]:
    """Names of alerts that somebody was told of, and not that they are over."""
    told = (page for page in pages if page.labels.get(ACTION) in PEOPLE and not _on_a_budget(page))
    latest = {frozenset(page.labels.items()): page for page in told}
    yield from sorted({page.name for page in latest.values() if page.status == "firing"})
