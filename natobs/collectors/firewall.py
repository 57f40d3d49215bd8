"""Firewall counters: rules, chain policies and named counters of nftables, iptables-nft and iptables-legacy.

Knows how a rule is called and which of them deny. Never shows a rule's text.
How many series there are is the business of :mod:`natobs.collectors.ledger`.
"""

from natobs.catalogue.metrics import firewall as metric
from natobs.catalogue.types import Metric, Sample
from natobs.collectors.base import NOTHING_HERE, Gap, Reading
from natobs.collectors.ledger import Entry, Key, Ledger
from natobs.kernel import nftables, xtables
from natobs.kernel.firewall import Count, Table
from natobs.kernel.machine import Machine
from natobs.kernel.nft_rules import RuleDecoder

OTHER = "other"
"""The value of labels for what is beyond the bound."""
_ID_CHARACTERS = 80

_METRICS: dict[str, tuple[Metric, Metric | None]] = {
    "rules": (metric.RULE_PACKETS, metric.RULE_BYTES),
    "policies": (metric.POLICY_PACKETS, metric.POLICY_BYTES),
    "counters": (metric.NAMED_PACKETS, metric.NAMED_BYTES),
    "denies": (metric.DENIES, None),
}
"""What is kept in a ledger of its own, and the metrics of packets and bytes that it fills."""

_DENY_RESTS = ((OTHER,),)


class FirewallCollector:
    """Reads every table; remembers what was counted, so that the sum of the unnamed rest never falls.

    Args:
        max_series: at most so many rules, policies, named counters and denying rules are shown one by one.
    """

    name = "firewall"
    metrics = (
        *(counter for pair in _METRICS.values() for counter in pair if counter is not None),
        metric.UNCOUNTED_DENIES,
    )

    def __init__(self, max_series: int) -> None:
        self._rules = RuleDecoder()
        self._tables = xtables.TableDecoder()
        self._ledgers = {subject: Ledger(max_series, follow=subject == "denies") for subject in _METRICS}

    def collect(self, machine: Machine) -> Reading:
        """Four netlink dumps; for iptables-legacy one file, and two calls a table, for each IP version."""
        reading = Reading()
        tables: dict[str, list[Table]] = {}
        with reading.part():
            tables["nftables"] = nftables.read_tables(machine, self._rules)
        for ipv6 in (False, True):
            with reading.part():
                tables[f"{'ip6' if ipv6 else 'ip'}tables-legacy"] = xtables.read_tables(
                    machine, self._tables, ipv6=ipv6
                )
        entries = {source: entries_of(found) for source, found in tables.items()}
        for subject, (packets, octets) in _METRICS.items():
            credited = self._ledgers[subject].update({source: found[subject] for source, found in entries.items()})
            # Not reading.add: the labels with closed domains come from the kernel layer's own words, and this is hot.
            for key, total in credited.items():
                reading.samples.append(Sample(packets, key, total.packets))
                if octets is not None:
                    reading.samples.append(Sample(octets, key, total.bytes))
        if tables.get("nftables"):
            for kind, places in uncounted(tables["nftables"]).items():
                reading.add(metric.UNCOUNTED_DENIES, places, kind)
        elif not any(tables.values()) and all(gap.reason in NOTHING_HERE for gap in reading.gaps):
            reading.gaps.append(Gap("absent", "no firewall: no table of nftables or iptables"))
        return reading


def entries_of(tables: list[Table]) -> dict[str, list[Entry]]:
    """What the tables of one source counted, by subject as in the ledgers."""
    rules: list[Entry] = []
    policies: list[Entry] = []
    counters: list[Entry] = []
    denies: list[Entry] = []
    for table in tables:
        place: Key = (table.backend, table.family, table.name)
        there = f"{table.backend} {table.family} {table.name}"
        rests = ((*place, OTHER, OTHER), (*place[:2], OTHER, OTHER, OTHER))
        for count in table.counts:
            rule = count.rule
            identity = (table.identity, rule.identity)
            comment = clean(rule.comment)
            if count.packets is not None and count.bytes is not None:
                key: Key = (*place, rule.chain, comment or _position(count))
                rules.append(Entry(identity, key, rests, bool(comment or rule.verdict), count.packets, count.bytes))
            if count.denied is not None:
                text = comment or f"{there}/{rule.chain}#{count.position}"
                denies.append(Entry(identity, (text,), _DENY_RESTS, bool(comment), count.denied, 0))
        for policy in table.policies:
            if policy.packets is None or policy.bytes is None:
                continue
            identity = (table.identity, (policy.chain, policy.drop))
            place_rests = (rests[0][:4], rests[1][:4])
            key = (*place, policy.chain)
            policies.append(Entry(identity, key, place_rests, policy.drop, policy.packets, policy.bytes))
            if policy.drop:
                denies.append(
                    Entry(identity, (f"{there}/{policy.chain} policy",), _DENY_RESTS, True, policy.packets, 0)
                )
        named_rests = ((table.family, table.name, OTHER), (table.family, OTHER, OTHER))
        for counter in table.counters:
            identity = (table.identity, counter.identity)
            key = (table.family, table.name, counter.name)
            counters.append(Entry(identity, key, named_rests, False, counter.packets, counter.bytes))
    return {"rules": rules, "policies": policies, "counters": counters, "denies": denies}


def uncounted(tables: list[Table]) -> dict[str, int]:
    """In how many places packets are denied without being counted, by what denies."""
    return {
        "policy": sum(policy.drop and policy.packets is None for table in tables for policy in table.policies),
        "rule": sum(bool(count.rule.verdict) and count.denied is None for table in tables for count in table.counts),
    }


def clean(comment: str) -> str:
    """A comment as a label: one line of at most 80 printable characters, single spaces between words."""
    if len(comment) > _ID_CHARACTERS or not comment.isprintable() or "  " in comment:
        comment = " ".join("".join(letter if letter.isprintable() else " " for letter in comment).split())
    return comment[:_ID_CHARACTERS].strip()


def _position(count: Count) -> str:
    return f"#{count.position} {count.rule.verdict}" if count.rule.verdict else f"#{count.position}"
