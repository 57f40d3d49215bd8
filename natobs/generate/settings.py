"""The catalogue as a fleet wants it: objectives and alerts with the settings of its file applied.

Knows how a setting changes a row. Refuses settings that name nothing, and
objectives so strict that fewer failures than the least would page somebody.
"""

import ipaddress
from dataclasses import dataclass, replace

from natobs.catalogue import alerts as alert_rows
from natobs.catalogue import objectives as objective_rows
from natobs.catalogue import values as value_rows
from natobs.catalogue.alerting import Alert, Level
from natobs.catalogue.idioms import pooled
from natobs.catalogue.metrics import network, probes
from natobs.catalogue.naming import Action
from natobs.catalogue.objectives import LEAST_FAILURES, Objective, service
from natobs.catalogue.promql import Query, Rendering, Scope, call, highest, over, series
from natobs.catalogue.values import Value
from natobs.config.fleet import Fleet, unknown_name
from natobs.errors import CatalogueError, ConfigError

_BITS = 8
_ANY = {4: "[0-9.]+", 6: ".*:.*"}
"""Patterns of all addresses, by IP version."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is generated, and how it is written.

    Args:
        values: recorded values.
        objectives: objectives.
        alerts: operational alerts.
        fleet: all other settings.
        rendering: scale and labels.
    """

    values: tuple[Value, ...]
    objectives: tuple[Objective, ...]
    alerts: tuple[Alert, ...]
    fleet: Fleet
    rendering: Rendering


def plan(fleet: Fleet, scale: float = 1.0, group_labels: tuple[str, ...] = ()) -> Plan:
    """Apply the settings of a fleet to the catalogue.

    Args:
        fleet: the settings.
        scale: durations are divided by it.
        group_labels: instead of the file's.

    Raises:
        ConfigError: a setting names nothing that exists, or an objective would page for too few failures.
    """
    return Plan(
        _values(fleet),
        _objectives(fleet),
        _alerts(fleet),
        fleet,
        Rendering(scale, group_labels or fleet.group_labels),
    )


def _values(fleet: Fleet) -> tuple[Value, ...]:
    capacity = fleet.link_capacity_bits_per_second
    if capacity is None:
        return value_rows.ALL
    peaks = highest(Scope.NAT, over("max_over_time", series(network.PEAK_BYTES), value_rows.FIVE))
    load = replace(value_rows.LOAD, query=value_rows.LOAD.query.either(peaks / (capacity / _BITS)))
    return tuple(load if value is value_rows.LOAD else value for value in value_rows.ALL)


def _objectives(fleet: Fleet) -> tuple[Objective, ...]:
    known = {objective.id: objective for objective in objective_rows.ALL}
    for name, settings in fleet.objectives.items():
        if name not in known:
            raise unknown_name("objectives", name, list(known))
        if settings.enabled:
            old = known[name]
            known[name] = replace(
                old, target=settings.target or old.target, per_minute=settings.per_minute or old.per_minute
            )
        else:
            del known[name]
    made = (*known.values(), *(service(one.name, one.target, one.per_minute) for one in fleet.services))
    for objective in made:
        _check(objective)
    return made


def _check(objective: Objective) -> None:
    for tier in objective.tiers():
        if tier.action is Action.PAGE and objective.failures(tier) < LEAST_FAILURES:
            raise ConfigError(
                f"objectives.{objective.id}: with {objective.per_minute:g} events a minute "
                f"{objective.failures(tier):.1f} failures within {tier.long} would page, fewer than {LEAST_FAILURES}; "
                f"it takes {objective.least_per_minute(tier):.1f} events a minute (an attempt every "
                f"{60 / objective.least_per_minute(tier):.1f} s), or a lower target than {objective.target:g}"
            )


def _alerts(fleet: Fleet) -> tuple[Alert, ...]:
    known = {alert.name: alert for alert in alert_rows.ALL}
    for name, settings in fleet.alerts.items():
        if name not in known:
            raise unknown_name("alerts", name, list(known))
        if not settings.enabled:
            del known[name]
            continue
        given = {"info": settings.info, "warning": settings.warning, "critical": settings.critical}
        severities = {level.severity.value for level in known[name].levels}
        for severity, threshold in given.items():
            if threshold is not None and severity not in severities:
                raise ConfigError(f"alerts.{name}.{severity}: it has only {', '.join(sorted(severities))}")
        levels = tuple(_level(level, given[level.severity.value]) for level in known[name].levels)
        try:
            known[name] = replace(known[name], levels=levels)
        except CatalogueError as error:
            found = ", ".join(f"{one.severity.value} {one.threshold:g}" for one in levels)
            raise ConfigError(f"alerts.{name}: thresholds must become worse: {found}") from error
    if fleet.public_addresses and (alert := known.get("NatPublicAddressUnexpected")) is not None:
        known[alert.name] = replace(
            alert, value=pooled(alert.scope, "min", expected=alert.value, reserved=_foreign(fleet.public_addresses))
        )
    return tuple(known.values())


def _level(level: Level, threshold: float | None) -> Level:
    return level if threshold is None else level._replace(threshold=threshold)


def _foreign(reserved: tuple[str, ...]) -> Query:
    """0 where a probe was seen under an address that is not reserved, of an IP version of which some are."""
    known = [ipaddress.ip_address(address) for address in reserved]
    exact = [str(address).replace(".", "\\\\.") for address in known]
    unjudged = [pattern for version, pattern in _ANY.items() if all(one.version != version for one in known)]
    seen = series(probes.OBSERVED_ADDRESS, address=f"!~{'|'.join([*exact, *unjudged])}")
    return call("clamp_max", highest(Scope.SUBNET, seen), 0)
