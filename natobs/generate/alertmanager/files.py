"""The files: the configuration of Alertmanager, and examples of receivers to copy into a fleet's file.

Knows how long Alertmanager waits, and how a rule of inhibition is written;
refuses to know what a receiver may be made of. The words and the routes stand in
``alertmanager.yml`` beside this module, where ``«name»`` is filled in.
"""

from collections.abc import Mapping
from textwrap import dedent, indent

import msgspec
import yaml

from natobs.catalogue.naming import FAULT, HOUR, MINUTE
from natobs.catalogue.promql import Scope
from natobs.errors import ConfigError
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


def configuration(plan: Plan, url: str = "") -> str:
    """Alertmanager's configuration, YAML.

    Args:
        plan: what there is to be told, and where the fleet wants it.
        url: of a webhook as each receiver instead; ``{receiver}`` becomes the name of the receiver.

    Raises:
        ConfigError: what the fleet wants as a receiver is none.
    """
    filled = {name: plan.rendering.duration(seconds) for name, seconds in WAITS.items()}
    wanted: dict[str, str] = {} if url else msgspec.structs.asdict(plan.fleet.receivers)
    filled |= {name: _receiver(name, wanted.get(name, ""), url or NOWHERE) for name in RECEIVERS}
    filled["group_by"] = ", ".join((*plan.rendering.labels(Scope.CLUSTER), FAULT))
    filled["inhibit_rules"] = "\n".join(_rule(rule) for rule in inhibitions(plan))
    return fill(_PACKAGE, "alertmanager.yml", filled, COMMAND)


def _receiver(name: str, wanted: str, url: str) -> str:
    """What stands below the name of a receiver: what is wanted, else a webhook."""
    if not wanted:
        more = ", send_resolved: false" if name == "watchdog" else ""
        return f'    webhook_configs: [{{ url: "{url.format(receiver=name)}"{more} }}]'
    text = dedent(wanted).strip("\n")
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"receivers.{name}: no YAML: {error}") from error
    if not isinstance(read, dict) or not all(
        str(key).endswith("_configs") and isinstance(value, list) for key, value in read.items()
    ):
        raise ConfigError(f"receivers.{name}: expected what stands below a receiver's name, such as webhook_configs:")
    return indent(text, "    ")


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
