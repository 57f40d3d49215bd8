"""Plain facts of a kernel, read in a host of the lab by the tools that everybody has: conntrack, ip, tc, nft, nstat.

The evidence of faults and the oracle of tests: nothing here uses natobs' own readers.
"""

import json
import re
import time

import psutil

from natobs.lab.lab import Host

_CALLED = {"clashres": "clash_resolve", "chaintoolong": "chain_toolong"}
"""How conntrack(8) calls what procfs calls otherwise."""


def conntrack(host: Host) -> dict[str, int]:
    """The counters of ``conntrack -S`` summed over CPUs, by the names of procfs, with ``entries`` and ``limit``."""
    totals = {"entries": int(host.run(["conntrack", "-C"]).stdout), "limit": limit(host)}
    for name, value in re.findall(r"(\w+)=(\d+)", host.run(["conntrack", "-S"]).stdout):
        field = _CALLED.get(name, name)
        if field != "cpu":
            totals[field] = totals.get(field, 0) + int(value)
    return totals


def limit(host: Host) -> int:
    """How many entries conntrack may have."""
    return int(host.run(["cat", "/proc/sys/net/netfilter/nf_conntrack_max"]).stdout)


def rules(host: Host, table: str) -> dict[str, int]:
    """Packets that were counted by the rules of an nftables table of the family inet, by comment."""
    found: dict[str, int] = {}
    listed = json.loads(host.run(["nft", "-j", "list", "table", "inet", table]).stdout)["nftables"]
    for rule in (entry["rule"] for entry in listed if "rule" in entry):
        for counter in (part["counter"] for part in rule["expr"] if "counter" in part):
            found[rule.get("comment", "")] = found.get(rule.get("comment", ""), 0) + counter["packets"]
    return found


def queue_drops(host: Host, device: str) -> int:
    """Packets that the root queue of a device has dropped; 0 where it has none."""
    listed = json.loads(host.run(["tc", "-s", "-j", "qdisc", "show", "dev", device]).stdout)
    return sum(queue["drops"] for queue in listed if queue.get("root"))


def link(host: Host, device: str) -> dict[str, int]:
    """``carrier_changes``, ``mtu`` and ``rx_errors`` of a device."""
    (found,) = json.loads(host.run(["ip", "-s", "-s", "-j", "link", "show", "dev", device]).stdout)
    stats = found["stats64"]
    return {
        "carrier_changes": stats["tx"]["carrier_changes"],
        "mtu": found["mtu"],
        "rx_errors": stats["rx"]["errors"],
    }


def default_routes(host: Host) -> int:
    """How many default routes a host has in its main table, of both IP versions."""
    return sum(len(host.run(["ip", f"-{family}", "route", "show", "default"]).stdout.splitlines()) for family in (4, 6))


def protocols(host: Host, *names: str) -> dict[str, int]:
    """Counters of the host's IP stack since it was made, by the names of nstat(8)."""
    lines = host.run(["nstat", "-asz", *names]).stdout.splitlines()
    found = dict(line.split()[:2] for line in lines if not line.startswith("#"))
    return {name: int(found[name]) for name in names}


def cpu(seconds: float = 1.0) -> dict[str, float]:
    """How busy this machine's CPUs are during some seconds, and with what: shares from 0 to 1, and the idlest CPU's."""
    before = psutil.cpu_times(percpu=True)
    time.sleep(seconds)
    after = psutil.cpu_times(percpu=True)
    spent = [
        {field: getattr(now, field) - getattr(then, field) for field in now._fields if not field.startswith("guest")}
        for then, now in zip(before, after, strict=True)
    ]
    totals = [max(sum(each.values()), 1e-9) for each in spent]
    busy = [1 - (each["idle"] + each["iowait"]) / total for each, total in zip(spent, totals, strict=True)]
    return {
        "busy_share": sum(busy) / len(busy),
        "idlest_cpu_busy_share": min(busy),
        "softirq_share": sum(each["softirq"] for each in spent) / sum(totals),
    }
