"""``docs/slos.md``: the objectives, the speeds at which their budgets burn, and the series that are recorded."""

from collections.abc import Iterator

from natobs.catalogue import naming, values
from natobs.catalogue.objectives import LEAST_FAILURES, TIERS, Objective
from natobs.generate import explain, markdown, words
from natobs.generate.settings import Plan

_INTRO = """What is promised, for each NAT or private subnet, over 30 days. The share of bad events that a target leaves
is the error budget. Nobody is told of a bad minute, but of a budget that is spent too fast: an alert compares a long
window with a tier's speed, a short one says that it still goes on.

Budgets weigh events: the bad ones of 30 days divided by all of 30 days. An idle hour weighs nothing, and one bad hour
of a busy day counts for what it was. Time-slice objectives count minutes instead, each good or bad. Declared
maintenance counts neither way. A [fleet's file](fleet-config.md) sets targets, adds services and switches objectives
off.

While another alert names why events are bad, and for as long afterwards as a tier's short window remembers them, a
burning budget tells nobody: it would be the same news twice. The budget is spent all the same, and risky changes stop.

```sh
natobs slo list --config fleet.toml
natobs slo status --prometheus http://127.0.0.1:9090
natobs slo serve --prometheus http://127.0.0.1:9090
```

`list` says which there are. `status` says what is left of each budget and who has spent most of it; its exit status is
1 while a budget is spent, or when nothing is known. `serve` shows the same as a page, on http://127.0.0.1:9654/."""
_GUARD = f"""How many bad events reach a tier's speed at ordinary times, within its long window. With fewer events than
usual, a share says little, so an alert also takes at least {LEAST_FAILURES} bad events; a configuration in which
fewer would page at ordinary times is refused. `natobs generate rules --explain` prints this table for your fleet."""
_RECORDED = """Names as Sloth gives them, so that its dashboards work; labels are those of the budget, `sloth_id`,
`sloth_service` (`nat`), `sloth_slo` and `sli`. Counts of five minutes overlap: they are no numbers of events. Steps do
not overlap, and may be summed."""
_HELP = {
    naming.BAD: "bad events of the last five minutes",
    naming.TOTAL: "all events of the last five minutes",
    naming.BAD_STEP: "bad events, taken every five minutes",
    naming.TOTAL_STEP: "all events, taken every five minutes",
    naming.BAD_HOUR: "bad events of an hour, taken every hour",
    naming.TOTAL_HOUR: "all events of an hour, taken every hour",
    **{recorded: f"share of bad events over {window}" for window, recorded in naming.ERROR_RATIO.items()},
    **{recorded: f"bad events over {window}" for window, recorded in naming.BAD_SUM.items()},
    naming.EXPLAINED: "1 while an alert names why events are bad, by what becomes of that alert",
    naming.OBJECTIVE: "the target",
    naming.ERROR_BUDGET: "the share of events that may be bad",
    naming.PERIOD_DAYS: "days of the period",
    naming.CURRENT_BURN: "how many times as fast as it lasts the budget is spent now, over 5m",
    naming.PERIOD_BURN: "the same over the period; above 1 the budget is spent",
    naming.BUDGET_REMAINING: "share of the budget that is left; below zero it is overspent",
    **{recorded: f"fastest burn rate of a cluster over {window}" for window, recorded in naming.WORST_BURN.items()},
    naming.LEAST_BUDGET: "what is left of the scarcest budget of a cluster",
    naming.STRAIN: "the worst value of a NAT as a share of the threshold that pages",
    naming.SLO_INFO: "1, with the objective and its title as labels",
}


def page(plan: Plan) -> str:
    """The text of the page."""
    return markdown.page("Objectives", _INTRO, _body(plan))


def _body(plan: Plan) -> Iterator[str]:
    yield markdown.table(
        ["objective", "SLI", "of each", "what must be good", "wakes somebody", "needs", "alert"],
        map(_row, plan.objectives),
    )
    yield "## Speeds\n"
    yield markdown.table(
        ["severity", "becomes", "burns", "spends of the budget meanwhile"],
        [
            [
                tier.severity.value,
                words.actions([tier.action]),
                f"{tier.factor:g}x over {tier.long} and {tier.short}",
                words.percent(round(tier.factor * naming.WINDOWS[tier.long] / naming.WINDOWS["30d"], 4)),
            ]
            for tier in TIERS
        ],
    )
    yield "## Failures to page\n"
    yield f"{_GUARD}\n"
    yield markdown.table(
        ["objective", "events a minute", "burns", "becomes", "bad events", "wants at least, a minute"],
        [
            [
                f"`{row.objective}`",
                f"{row.per_minute:g}",
                row.tier,
                row.action,
                f"{row.failures:g}",
                f"{row.least_per_minute:g}",
            ]
            for row in explain.rows(plan)
        ],
    )
    yield "## Recorded series\n"
    yield f"{_RECORDED}\n"
    yield markdown.table(["series", "is"], [[f"`{recorded.name}`", text] for recorded, text in _HELP.items()])
    yield "Values that objectives, alerts and dashboards share:\n"
    yield markdown.table(
        ["series", "labels", "is"],
        [
            [f"`{one.recorded.name}`", ", ".join((*one.scope.value, *one.recorded.labels)), one.help]
            for one in values.ALL
        ],
    )


def _row(objective: Objective) -> list[str]:
    return [
        f"`{objective.id}`<br>{objective.title}",
        f"[{objective.sli}](slis.md#{objective.sli.lower()})",
        words.whom(objective),
        words.promise(objective),
        "yes" if objective.pages else "no",
        objective.needs,
        f"[{objective.alert}](runbooks/{objective.alert}.md)",
    ]
