"""``docs/slis.md``: what is measured of a NAT, how, and what stands on it."""

from collections.abc import Iterator

from natobs.catalogue import crossref
from natobs.catalogue.slis import ALL, Sli
from natobs.generate import markdown, words
from natobs.generate.settings import Plan

_INTRO = """What is measured of a NAT. Each indicator is computed from what the kernel says, some of them from probes
too, and each has an [objective](slos.md) or a reason for none, [alerts](alerts.md) and
[runbooks](runbooks/README.md)."""


def page(plan: Plan) -> str:
    """The text of the page."""
    return markdown.page("Service level indicators", _INTRO, _body(plan))


def _body(plan: Plan) -> Iterator[str]:
    yield markdown.table(
        ["", "indicator", "question", "to start with"],
        [[f"[{sli.id}](#{sli.id.lower()})", sli.title, sli.question, sli.target] for sli in ALL],
    )
    for sli in ALL:
        yield f'<a id="{sli.id.lower()}"></a>\n\n## {sli.id} {sli.title}\n'
        yield f"{sli.question} {sli.note}".strip() + "\n"
        yield from _section(sli, plan)


def _section(sli: Sli, plan: Plan) -> Iterator[str]:
    objectives = [one for one in plan.objectives if one.sli == sli.id]
    alerts = [alert for alert in plan.alerts if alert.sli == sli.id]
    for one in objectives:
        yield f"* Objective `{one.id}`, for each {words.whom(one)}: {words.promise(one)}."
    if not objectives:
        yield f"* No objective: {sli.without_objective}."
    burning = dict.fromkeys(one.alert for one in objectives)
    names = ", ".join(f"[{name}](runbooks/{name}.md)" for name in (*(alert.name for alert in alerts), *burning))
    yield f"* Alerts: {names}."
    yield f"* Shown on the {words.dashboard(sli.id, plan.fleet.urls.grafana.rstrip('/'))}.\n"
    yield markdown.table(
        ["metric", "meaning"],
        [[f"`{metric.name}`", metric.help] for metric in crossref.metrics_of(sli)],
    )
