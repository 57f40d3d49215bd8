"""The files: the configuration of Alertmanager, and examples of receivers to copy into it.

Knows how long Alertmanager waits, and how a rule of inhibition is written. The
words and the routes stand in ``alertmanager.yml`` beside this module, where
``«name»`` is filled in.
"""

from collections.abc import Mapping

from natobs.catalogue.naming import FAULT, HOUR, MINUTE
from natobs.catalogue.promql import Scope
from natobs.generate.alertmanager.inhibition import Inhibition, inhibitions
from natobs.generate.settings import Plan
from natobs.generate.template import fill

COMMAND = "natobs generate alertmanager"
WAITS: Mapping[str, int] = {
    "resolve": 5 * MINUTE,
    "group_wait": 30,
    "group_interval": 5 * MINUTE,
    "page_repeat": HOUR,
    "ticket_repeat": 12 * HOUR,
    "watchdog_wait": 1,
    "watchdog_interval": MINUTE,
    "watchdog_repeat": 5 * MINUTE,
}
"""In seconds, by place-holder."""
RECEIVERS = ("page", "ticket", "freeze", "watchdog")
"""Receivers that tell somebody; the one named null tells nobody."""
NOWHERE = "http://{receiver}.natobs.invalid/"
"""Where a receiver leads to before it is filled in: a name that never resolves (RFC 6761, 6.4)."""
EXAMPLES = ("webhook", "pagerduty", "slack", "mail")

_PACKAGE = "natobs.generate.alertmanager"


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text."""
    made = {"alerts/alertmanager.yml": configuration(plan)}
    for name in EXAMPLES:
        made[f"alerts/receivers/{name}.yml"] = fill(_PACKAGE, f"receivers/{name}.yml", {}, COMMAND)
    return made


def configuration(plan: Plan, url: str = NOWHERE) -> str:
    """Alertmanager's configuration, YAML, with a webhook as each receiver.

    Args:
        plan: what there is to be told.
        url: of the webhooks; ``{receiver}`` becomes the name of the receiver.
    """
    filled = {name: plan.rendering.duration(seconds) for name, seconds in WAITS.items()}
    filled |= {f"{name}_url": url.format(receiver=name) for name in RECEIVERS}
    filled["group_by"] = ", ".join((*plan.rendering.labels(Scope.CLUSTER), FAULT))
    filled["inhibit_rules"] = "\n".join(_rule(rule) for rule in inhibitions(plan))
    return fill(_PACKAGE, "alertmanager.yml", filled, COMMAND)


def _rule(rule: Inhibition) -> str:
    return (
        f"  # {rule.why}\n"
        f"  - source_matchers: {_list(rule.source)}\n"
        f"    target_matchers: {_list(rule.target)}\n"
        f"    equal: [{', '.join(rule.equal)}]"
    )


def _list(matchers: tuple[str, ...]) -> str:
    """In single quotes, because matchers have double ones; a matcher has no single quote."""
    return "[" + ", ".join(f"'{matcher}'" for matcher in matchers) + "]"
