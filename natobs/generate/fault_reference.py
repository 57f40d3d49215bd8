"""``docs/faults.md``: the failure modes, where packets are lost, and what tells one from the other."""

from collections.abc import Iterator

from natobs.catalogue.failure import PLACES, Fault
from natobs.catalogue.faults import ALL
from natobs.catalogue.promql import Query, Rendering
from natobs.generate import markdown
from natobs.generate.settings import Plan

_INTRO = """How a NAT fails, and how each failure is told from those that look like it. Each has a
[runbook](runbooks/README.md) with commands."""
_LOST = """The taps of the agent count each packet of a probe at four points: `inside_in` as it comes from the private
host, `outside_out` as it leaves, `outside_in` as its answer comes back, `inside_out` as that leaves for the private
host. Where it was seen last says most of what there is to know.

```promql
sum by («nat», source, point) (rate(natobs_probe_packets_seen_total[2m]))
```
"""


def page(plan: Plan) -> str:
    """The text of the page."""
    return markdown.page("Failure modes", _INTRO, _body(plan.rendering))


def _body(rendering: Rendering) -> Iterator[str]:
    yield markdown.table(
        ["", "fault", "symptom", "alerts, causes first"],
        [[f"[{fault.id}](#{fault.id.lower()})", fault.title, fault.symptom, _alerts(fault.alerts)] for fault in ALL],
    )
    yield "## Where packets are lost\n"
    yield Query(_LOST).text(rendering)
    yield markdown.table(
        ["seen", "means", "alerts", "faults"],
        [
            [
                place.seen,
                place.means,
                _alerts(place.alerts),
                ", ".join(f"[{one}](#{one.lower()})" for one in place.faults),
            ]
            for place in PLACES
        ],
    )
    for fault in ALL:
        yield from _section(fault)


def _section(fault: Fault) -> Iterator[str]:
    yield f'<a id="{fault.id.lower()}"></a>\n\n## {fault.id} {fault.title}\n'
    yield f"{fault.symptom} Signals, the most telling first: {', '.join(f'`{one.name}`' for one in fault.signals)}.\n"
    yield markdown.table(
        ["not", "because"], [[f"[{one.other}](runbooks/{one.other}.md)", one.how] for one in fault.apart]
    )
    yield "First:\n"
    yield "\n".join(f"{number}. {step}" for number, step in enumerate(fault.first, 1)) + "\n"
    yield "What ends it, the quickest first:\n"
    yield "\n".join(f"* {step}" for step in fault.mitigation) + "\n"
    yield f"With commands: [the runbook of {fault.id}](runbooks/{fault.id}.md).\n"


def _alerts(names: tuple[str, ...]) -> str:
    return ", ".join(f"[{name}](runbooks/{name}.md)" for name in names)
