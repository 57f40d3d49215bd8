"""All runbooks and their index, as files."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from natobs.catalogue import alerts as alert_rows
from natobs.catalogue import faults as fault_rows
from natobs.catalogue import objectives as objective_rows
from natobs.catalogue.objectives import Objective, service
from natobs.generate import markdown, words
from natobs.generate.runbooks import pages
from natobs.generate.runbooks.pages import Context
from natobs.generate.settings import Plan

FOLDER = "docs/runbooks"
_EXAMPLE = replace(service("example", 0.999, 60.0), id="nat-service-NAME", title="Service NAME")
"""What `services` of a fleet's file make; its runbook is there before anybody names one."""
_INTRO = """What to do, for every alert and every failure mode: what it means, whom it hurts, how to find the cause, how
to end it. An alert's annotation `runbook_url` leads here.

In the examples `eth0` is the NAT's outside interface and `eth1` the inside one (where there is only one, it is both),
`10.0.1.7` a private host, `198.51.100.1` a server, `203.0.113.10` the SNAT address, `10.0.1.1` the NAT's inside
address, `10.0.9.1:9090` Prometheus, `natobs-agent` and `natobs-probe` the units that run agent and prober. Commands run
on the NAT as root unless it says otherwise. Queries are for Prometheus, and show all NATs: the page that woke you names
yours.

**Never restart a NAT to see whether it helps.** It loses the state of every connection, and nearly nothing that goes
wrong here is cured by it. The same holds for `conntrack -F` and `nft flush ruleset`."""


def context(plan: Plan) -> Context:
    """What all pages have in common. What a fleet has switched off keeps its page: others link to it."""
    objectives: dict[str, tuple[Objective, ...]] = {}
    for one in plan.objectives:
        objectives[one.alert] = (*objectives.get(one.alert, ()), one)
    for one in (*objective_rows.ALL, _EXAMPLE):
        objectives.setdefault(one.alert, (one,))
    return Context(
        {alert.name: alert for alert in (*alert_rows.ALL, *plan.alerts)},
        objectives,
        {value.recorded.name: value for value in plan.values},
        plan.fleet.urls.grafana.rstrip("/"),
        plan.rendering,
    )


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text."""
    about = context(plan)
    made = {f"{FOLDER}/{name}.md": pages.alert_page(alert, about) for name, alert in about.alerts.items()}
    made |= {f"{FOLDER}/{name}.md": pages.burn_page(name, about) for name in about.objectives}
    made |= {f"{FOLDER}/{fault.id}.md": pages.fault_page(fault, about) for fault in fault_rows.ALL}
    return {f"{FOLDER}/README.md": markdown.page("Runbooks", _INTRO, _index(about)), **made}


def _index(about: Context) -> Iterator[str]:
    yield "## By fault\n"
    yield markdown.table(
        ["fault", "symptom", "alerts, causes first"],
        [
            [
                f"[{fault.id}]({fault.id}.md) {fault.title}",
                fault.symptom,
                ", ".join(f"[{name}]({name}.md)" for name in fault.alerts if name in about.alerts),
            ]
            for fault in fault_rows.ALL
        ],
    )
    yield "## By alert\n"
    yield markdown.table(
        ["alert", "becomes", "fault", "SLI", "says"],
        [
            [
                f"[{alert.name}]({alert.name}.md)",
                words.actions(level.action for level in alert.levels),
                f"[{alert.fault}]({alert.fault}.md)" if alert.fault else "",
                alert.sli,
                alert.summary,
            ]
            for alert in about.alerts.values()
        ],
    )
    yield "## By objective\n"
    yield markdown.table(
        ["alert", "becomes", "SLI", "objective"],
        [
            [
                f"[{name}]({name}.md)",
                words.actions(tier.action for one in objectives for tier in one.tiers()),
                objectives[0].sli,
                "<br>".join(words.promise(one) for one in objectives),
            ]
            for name, objectives in about.objectives.items()
        ],
    )
