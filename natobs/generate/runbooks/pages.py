"""A runbook: the words that people wrote, in a frame that the catalogue makes.

Knows how a page is laid out: what somebody needs at night first, the rule itself
last.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from natobs.catalogue.alerting import Alert
from natobs.catalogue.failure import Fault
from natobs.catalogue.naming import Action
from natobs.catalogue.objectives import Objective
from natobs.catalogue.promql import Query, Rendering
from natobs.catalogue.values import Value
from natobs.generate import markdown, words
from natobs.generate.rules.model import expression
from natobs.generate.runbooks import relations
from natobs.generate.runbooks.fragments import HEADINGS, read

_EXPLAINED = """While one of these causes fires, and for as long afterwards as a tier's short window remembers what it
named, the rule itself is silent ([why](../decisions/0019-what-an-alert-has-named-burns-in-silence.md)); a freeze comes
all the same."""
_HINTS = "[all runbooks, and what the names in the examples stand for](README.md)"


@dataclass(frozen=True, slots=True)
class Context:
    """What a page needs to know beside its own subject.

    Args:
        alerts: all operational alerts, by name.
        objectives: all objectives, by the alert on their burn rates.
        values: recorded values, by the name of their series.
        grafana: where dashboards are.
        rendering: how expressions are written.
    """

    alerts: Mapping[str, Alert]
    objectives: Mapping[str, tuple[Objective, ...]]
    values: Mapping[str, Value]
    grafana: str
    rendering: Rendering


def alert_page(alert: Alert, context: Context) -> str:
    """The runbook of an operational alert."""
    rows = [words.level(alert, level, context.rendering) for level in alert.levels]
    facts = [
        alert.summary,
        markdown.table(["severity", "becomes", "when", "for"], rows),
        _facts(
            [f"fault [{alert.fault}]({alert.fault}.md)"] if alert.fault else [],
            [words.sli_link(alert.sli, "../")] if alert.sli else ["no SLI: it is about the monitoring itself"],
            [words.needs(alert.rests_on)] if alert.rests_on else [],
            [words.dashboard(alert.sli, context.grafana)],
        ),
    ]
    condition = alert.condition(alert.levels[-1])
    actions = [level.action for level in alert.levels]
    rule = [
        *_relations(alert.name, actions, alert.silences, context, masked=alert.masked),
        *_expression(f"The expression, at severity {alert.levels[-1].severity.value}:", condition, context),
    ]
    return _page(alert.name, alert.name, facts, {HEADINGS[-1]: ["---\n", *rule]}, context)


def burn_page(name: str, context: Context) -> str:
    """The runbook of an alert on burn rates."""
    objectives = context.objectives[name]
    facts = [
        "The error budget of 30 days is being spent faster than it lasts.",
        *(f"* `{one.id}`, for each {words.whom(one)}: {words.promise(one)}." for one in objectives),
        f"\n{markdown.table(words.TIER_HEAD, words.tiers(objectives[0], context.rendering))}",
        _facts(
            [words.sli_link(objectives[0].sli, "../")],
            ["[objectives](../slos.md)"],
            [words.dashboard(objectives[0].sli, context.grafana)],
        ),
    ]
    actions = [tier.action for one in objectives for tier in one.tiers()]
    rule = list(_relations(name, actions, (), context, masked=True))
    if any(relations.silencers(name, context.alerts)):
        rule.append(f"{_EXPLAINED}\n")
    for objective in objectives:
        rule += _expression(f"Bad events of `{objective.id}` in five minutes:", objective.bad, context)
        rule += _expression("And all events:", objective.total, context)
    return _page(name, name, facts, {HEADINGS[-1]: ["---\n", *rule]}, context)


def fault_page(fault: Fault, context: Context) -> str:
    """The runbook of a failure mode."""
    facts = [
        fault.symptom,
        markdown.table(
            ["alert", "says"],
            [[f"[{name}]({name}.md)", context.alerts[name].summary] for name in fault.alerts if name in context.alerts],
        ),
        f"Signals: {', '.join(f'`{metric.name}`' for metric in fault.signals)}\n",
        _facts(["[all failure modes](../faults.md)"]),
    ]
    apart = markdown.table(["not", "because"], [[f"[{other}]({other}.md)", how] for other, how in fault.apart])
    return _page(
        fault.id, f"{fault.id}: {fault.title}", facts, {"Diagnosis": [f"What looks like it:\n\n{apart}"]}, context
    )


def _page(name: str, title: str, facts: Iterable[str], after: Mapping[str, Iterable[str]], context: Context) -> str:
    """What people wrote, with what the catalogue adds before it and after some sections."""
    text = {heading: Query(words).text(context.rendering) for heading, words in read(name).items()}
    body = [part for heading in HEADINGS for part in (f"## {heading}\n", f"{text[heading]}\n", *after.get(heading, ()))]
    first, *more = facts
    return markdown.page(title, first, [*more, *body])


def _facts(*parts: list[str]) -> str:
    """One line: each part has one fact, or none."""
    line = " · ".join([*(one for part in parts for one in part), _HINTS])
    return f"{line[0].upper()}{line[1:]}\n"


def _relations(
    name: str, actions: Iterable[Action], silences: Iterable[str], context: Context, *, masked: bool
) -> Iterator[str]:
    known = [other for other in silences if other in context.alerts or other in context.objectives]
    yield from (f"{sentence}\n" for sentence in relations.sentences(name, actions, context.alerts))
    if known:
        yield f"Silences {relations.links(known)}: its symptoms.\n"
    yield "Silent in maintenance.\n" if masked else "Maintenance does not silence it.\n"


def _expression(lead: str, query: Query, context: Context) -> Iterator[str]:
    yield f"{lead}\n\n```promql\n{expression(query, context.rendering)}\n```\n"
    recorded = sorted(source.name for source in query.sources if source.name in context.values)
    for name in recorded:
        yield f"* `{name}`: {context.values[name].help}.\n"
