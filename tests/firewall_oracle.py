"""What firewall counters ought to be, from what nft and iptables print; it shares nothing with natobs' decoders."""

import json
import re
from typing import Any

Place = tuple[str, ...]
Counters = dict[Place, tuple[int, int]]
"""Label values to packets and bytes."""

_RULE = re.compile(r"\[(\d+):(\d+)\] -A (\S+)(.*)")
_POLICY = re.compile(r":(\S+) (ACCEPT|DROP) \[(\d+):(\d+)\]")
_COMMENT = re.compile(r'--comment (?:"((?:[^"\\]|\\.)*)"|(\S+))')
_SUFFIX = {"DROP": " drop", "REJECT": " reject"}


def saved(text: str, backend: str, family: str) -> tuple[Counters, Counters]:
    """Rules and policies of ``iptables-save -c``."""
    rules: Counters = {}
    policies: Counters = {}
    positions: dict[tuple[str, str], int] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        if found := _POLICY.match(line):
            policies[backend, family, table, found[1]] = (int(found[3]), int(found[4]))
        if found := _RULE.match(line):
            packets, octets, chain, rest = found.groups()
            positions[table, chain] = position = positions.get((table, chain), 0) + 1
            said = _COMMENT.search(rest)
            target = re.search(r"-j (\S+)", rest)
            name = (said[1] or said[2]) if said else f"#{position}{_SUFFIX.get(target[1] if target else '', '')}"
            _add(rules, (backend, family, table, chain, name), int(packets), int(octets))
    return rules, policies


def listed(text: str, managed_by_iptables: set[tuple[str, str]]) -> tuple[Counters, Counters]:
    """Rules and named counters of ``nft -j list ruleset``, but for the tables that are iptables' own."""
    rules: Counters = {}
    named: Counters = {}
    positions: dict[tuple[str, str, str], int] = {}
    for item in json.loads(text)["nftables"]:
        ((kind, content),) = item.items()
        if kind == "counter":
            place = (content["family"], content["table"], content["name"])
            named[place] = (content["packets"], content["bytes"])
        if kind == "rule" and (content["family"], content["table"]) not in managed_by_iptables:
            chain = (content["family"], content["table"], content["chain"])
            positions[chain] = position = positions.get(chain, 0) + 1
            statements: list[dict[str, Any]] = content["expr"]
            suffix = next((f" {verdict}" for one in statements for verdict in ("drop", "reject") if verdict in one), "")
            name = content.get("comment") or f"#{position}{suffix}"
            for one in statements:
                if isinstance(one.get("counter"), dict):
                    _add(rules, ("nftables", *chain, name), one["counter"]["packets"], one["counter"]["bytes"])
    return rules, named


def exported(samples: list[tuple[str, Place, float]], what: str) -> Counters:
    """The packets and bytes of ``natobs_firewall_WHAT_*``; a label set that is there twice is an error."""
    packets = [(labels, value) for name, labels, value in samples if name == f"natobs_firewall_{what}_packets_total"]
    octets = {labels: value for name, labels, value in samples if name == f"natobs_firewall_{what}_bytes_total"}
    assert len(dict(packets)) == len(packets) == len(octets)
    return {labels: (int(value), int(octets[labels])) for labels, value in packets}


def _add(counters: Counters, place: Place, packets: int, octets: int) -> None:
    place = (*place[:-1], " ".join(place[-1].split())[:80])
    before = counters.get(place, (0, 0))
    counters[place] = (before[0] + packets, before[1] + octets)
