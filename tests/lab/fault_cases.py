"""What each fault must do: to new connections, to facts of the kernel, and to what natobs says of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from natobs.lab.faults.base import Evidence
from natobs.lab.faults.mtu import MTU
from natobs.lab.faults.returns import BLOCKED
from tests.lab.agents import Scrape

Look = Callable[[Scrape, Scrape], bool]
"""Whether a scrape shows the fault, given one from before it."""


def grown(name: str, **labels: str) -> Look:
    return lambda before, now: total(now, name, **labels) > total(before, name, **labels)


def total(scrape: Scrape, name: str, **labels: str) -> float:
    """The sum of the series that have these labels, and others."""
    return sum(value for found, value in scrape.of(name).items() if labels.items() <= dict(found).items())


def saturated(scrape: Scrape) -> float:
    return max(scrape.of("natobs_snat_destination_saturation_ratio").values(), default=0.0)


def busy(before: Scrape, now: Scrape) -> bool:
    spent = total(now, "natobs_cpu_seconds_total") - total(before, "natobs_cpu_seconds_total")
    idle = total(now, "natobs_cpu_seconds_total", mode="idle") - total(before, "natobs_cpu_seconds_total", mode="idle")
    return spent > 1 and idle < 0.5 * spent


@dataclass(frozen=True)
class Case:
    """What a fault must do.

    Args:
        answered: to each of four servers, the smallest and the largest share of new connections that is answered.
        evidence: which fact of the kernel tells, and how it is told from before.
        agent: what the agent says.
        prober: what the prober says.
        unseen: whether what clients send does not even reach the NAT.
    """

    answered: tuple[tuple[float, float], ...]
    evidence: Callable[[Evidence, Evidence], bool]
    agent: Look | None = None
    prober: Look | None = None
    unseen: bool = False


NONE, SOME, ALL_OF = (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)
DEAD, ALIVE, UNKNOWN = (NONE,) * 4, (ALL_OF,) * 4, (SOME,) * 4


def more(*names: str) -> Callable[[Evidence, Evidence], bool]:
    return lambda before, now: all(now[name] > before[name] for name in names)


def fewer(name: str) -> Callable[[Evidence, Evidence], bool]:
    return lambda before, now: now[name] < before[name]


def changed(before: Evidence, now: Evidence) -> bool:
    return now != before


def is_full(before: Evidence, now: Evidence) -> bool:
    return now["entries"] > 0.99 * now["limit"] > before["entries"]


def works(target: str) -> Look:
    """Whether most probes of a target succeed; one is lost where the machine stands still for as long as it waits."""

    def look(before: Scrape, now: Scrape) -> bool:
        tried, failed = (
            total(now, f"natobs_probe_{what}_total", target=target)
            - total(before, f"natobs_probe_{what}_total", target=target)
            for what in ("attempts", "failures")
        )
        return tried >= 3 and 2 * failed < tried

    return look


PROBES_FAIL = grown("natobs_probe_failures_total", probe="web")
THIRD_PARTY = {"destination": "198.51.100.2", "port": "80", "proto": "tcp"}
CASES = {
    "table-evicting": Case(
        ALIVE,
        lambda before, now: is_full(before, now) and now["early_drop"] > before["early_drop"],
        grown("natobs_conntrack_early_drop_total"),
    ),
    "table-full": Case(
        ((0.0, 1 / 15),) * 4,  # an entry that times out makes room for one flow, before what fills the table sees it
        lambda before, now: is_full(before, now) and now["drop"] > before["drop"],
        grown("natobs_new_flow_drops_total", reason="table_full"),
        PROBES_FAIL,
    ),
    "cpu-forwarding": Case(
        UNKNOWN, lambda before, now: now["idlest_cpu_busy_share"] > 0.9 and now["softirq_share"] > 0.2, busy
    ),
    "cpu-neighbour": Case(UNKNOWN, lambda before, now: now["idlest_cpu_busy_share"] > 0.9, busy),
    "nic-drops": Case(
        ((0.0, 0.95),) * 4, more("queue_drops"), grown("natobs_qdisc_drops_total", device="eth0", qdisc="htb")
    ),
    "carrier-flap": Case(
        UNKNOWN, more("carrier_changes"), grown("natobs_network_carrier_changes_total", device="eth0"), PROBES_FAIL
    ),
    "nic-errors": Case(
        ALIVE,
        lambda before, now: before == now == {"rx_errors": 0},  # the kernel knows of none, which is why they are shown
        grown("natobs_network_receive_errors_total", device="eth0"),
    ),
    "no-default-route": Case(
        DEAD,
        fewer("default_routes"),
        lambda before, now: total(now, "natobs_default_route_present") == 0,
        PROBES_FAIL,
    ),
    "subnet-route-missing": Case(DEAD, changed, None, PROBES_FAIL, unseen=True),
    "subnet-route-wrong": Case(DEAD, changed, None, PROBES_FAIL, unseen=True),
    "restart": Case(
        ALIVE,
        more("IpInAddrErrors"),
        lambda before, now: total(now, "natobs_midstream_pickups_total") >= 10,
    ),
    "return-blocked": Case(
        DEAD, more("denied_packets"), grown("natobs_firewall_denies_total", rule=BLOCKED), PROBES_FAIL
    ),
    "established-rule-missing": Case(
        DEAD, more("denied_packets"), grown("natobs_firewall_denies_total", rule="lab: deny"), PROBES_FAIL
    ),
    "address-changed": Case(
        ALIVE,
        more("has_203.0.113.99"),
        grown("natobs_address_changes_total", device="eth0"),
        lambda before, now: total(now, "natobs_probe_address_expected") == 0,
    ),
    "mtu-small": Case(
        ALIVE,
        lambda before, now: now["mtu"] == MTU < before["mtu"] and now["IpFragFails"] > before["IpFragFails"],
        None,
        lambda before, now: total(now, "natobs_probe_path_mtu_bytes") == MTU,
    ),
    "mtu-black-hole": Case(
        ALIVE,
        lambda before, now: now["mtu"] == MTU < before["mtu"] and now["silenced_icmp"] > 0,
        None,
        lambda before, now: total(now, "natobs_probe_path_mtu_bytes") == MTU,
    ),
    "ports-exhausted": Case(
        ((0.0, 0.5), ALL_OF, ALL_OF, ALL_OF),
        more("insert_failed"),
        lambda before, now: (
            grown("natobs_new_flow_drops_total", reason="tuple_clash")(before, now) and saturated(now) > 0.99
        ),
        grown("natobs_probe_failures_total", target="198.51.100.1:443"),
    ),
    "tuple-clashes": Case(
        ALIVE,
        more("insert_failed"),
        lambda before, now: (
            grown("natobs_new_flow_drops_total", reason="tuple_clash")(before, now) and 0.4 < saturated(now) < 0.7
        ),
    ),
    "table-full-and-cpu": Case(
        ((0.0, 0.2),) * 4,  # what fills the table gets less CPU too
        lambda before, now: is_full(before, now) and now["idlest_cpu_busy_share"] > 0.9,
        lambda before, now: (
            grown("natobs_new_flow_drops_total", reason="table_full")(before, now) and busy(before, now)
        ),
        PROBES_FAIL,
    ),
    "third-party-down": Case(
        ALIVE,
        more("dropped_packets"),
        lambda before, now: (
            grown("natobs_destination_attempts_total", **THIRD_PARTY)(before, now)
            and not grown("natobs_destination_answered_total", **THIRD_PARTY)(before, now)
        ),
        works(f"{THIRD_PARTY['destination']}:443"),
    ),
    "dns-down": Case(
        ALIVE, more("dropped_packets"), None, grown("natobs_probe_failures_total", probe="names", reason="timeout")
    ),
    "asymmetric-return": Case(
        DEAD,
        more("TcpExtIPReversePathFilter"),
        grown("natobs_ip_reverse_path_filter_drops_total"),
        PROBES_FAIL,
    ),
    "maintenance-restart": Case(
        ALIVE,
        more("IpInAddrErrors"),
        lambda before, now: (
            total(now, "natobs_midstream_pickups_total") >= 10
            and total(now, "natobs_maintenance_until_timestamp_seconds") > time.time()
        ),
    ),
    "scaling-flaps": Case(ALIVE, more("events"), grown("natobs_scaling_event_timestamp_seconds", kind="scale_in")),
}
