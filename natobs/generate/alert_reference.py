"""``docs/alerts.md``: every alert with its thresholds, its condition, and what it silences."""

from collections.abc import Iterator

from natobs.catalogue import alerts as catalogue
from natobs.catalogue.alerting import Alert
from natobs.generate import markdown, words
from natobs.generate.rules.model import expression
from natobs.generate.settings import Plan

_INTRO = """Every alert of the generated rules. A page wakes somebody, a ticket is for the daytime, a freeze stops risky
changes; info tells nobody, and may silence others. Declared maintenance silences nearly all; a runbook says where
it does not. Thresholds are those of the default configuration unless a [fleet's file](fleet-config.md) changed them.

Alerts that name a cause silence their symptoms on the same NAT, so that one trouble pages once: a page silences pages
and tickets, a ticket tickets alone (NatDestinationFailing says below which pages it silences too), and nothing but
maintenance silences a freeze. A page also silences the tickets of its indicator. Alerts on [objectives](slos.md) are
symptoms always. Each name leads to its [runbook](runbooks/README.md)."""
_SUBJECTS = {
    "table": "Translation table and ports",
    "host": "CPU and memory",
    "links": "Interfaces, drops, throughput",
    "path": "The way of packets",
    "changes": "Changes",
    "watching": "The watching itself",
}


def page(plan: Plan) -> str:
    """The text of the page."""
    return markdown.page("Alerts", _INTRO, _body(plan))


def _body(plan: Plan) -> Iterator[str]:
    known = {alert.name: alert for alert in plan.alerts}
    for subject, rows in catalogue.SUBJECTS.items():
        alerts = [known[row.name] for row in rows if row.name in known]
        yield f"## {_SUBJECTS[subject]}\n"
        yield markdown.table(
            ["alert", "says", "when, for how long", "SLI", "fault", "labels"], [_row(alert, plan) for alert in alerts]
        )
        for alert in alerts:
            yield from _detail(alert, plan)
    yield "## Objectives\n"
    yield "Their speeds are the same for all: [Objectives](slos.md#speeds).\n"
    yield markdown.table(
        ["alert", "objective"],
        [[f"[{one.alert}](runbooks/{one.alert}.md)", words.promise(one)] for one in plan.objectives],
    )


def _row(alert: Alert, plan: Plan) -> list[str]:
    levels = [words.level(alert, level, plan.rendering) for level in alert.levels]
    return [
        f"[{alert.name}](runbooks/{alert.name}.md)",
        alert.summary,
        "<br>".join(f"{severity}: {when}, {hold}" for severity, _, when, hold in levels),
        f"[{alert.sli}](slis.md#{alert.sli.lower()})" if alert.sli else "",
        f"[{alert.fault}](runbooks/{alert.fault}.md)" if alert.fault else "",
        ", ".join(alert.labels),
    ]


def _detail(alert: Alert, plan: Plan) -> Iterator[str]:
    yield f"**{alert.name}**" + (f" silences {', '.join(alert.silences)}." if alert.silences else "") + "\n"
    yield f"```promql\n{expression(alert.condition(alert.levels[-1]), plan.rendering)}\n```\n"
