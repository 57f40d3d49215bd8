"""Rules of nftables as the kernel dumps them: ``NFT_MSG_GETRULE``.

Decodes what a counter needs (table, chain, handle, comment, final verdict,
counters) and passes over what a rule matches. Sources:
include/uapi/linux/netfilter/nf_tables.h, net/netfilter/nf_tables_api.c
(nf_tables_fill_rule_info), nft_counter.c, nft_compat.c; the comment is in
libnftnl's include/libnftnl/udata.h (type 0) or, from iptables, in an xt match
named ``comment`` (include/uapi/linux/netfilter/xt_comment.h).

A rule never changes but for its counters: to replace it the kernel makes a new
one. So the decoder remembers each rule under all the bytes around its counter,
and reads just the counter the next time; that is ten times faster.
"""

import struct
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.firewall import Count, Rule, Verdict

NFTABLES = 10 << 8
"""NFNL_SUBSYS_NFTABLES, the upper half of every message type here."""
NFGENMSG = struct.Struct(">BBH")  # family, version, resource id: the lower 16 bits of the ruleset's generation
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""NFPROTO_* of include/uapi/linux/netfilter.h."""

_NEWRULE = NFTABLES | 6
_NF_DROP = 0
_NF_VERDICT_MASK = 0xFF
_REG_VERDICT = 0
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 3, 4, 7
_EXPR_NAME, _EXPR_DATA = 1, 2
_IMMEDIATE_DREG, _IMMEDIATE_DATA, _DATA_VERDICT, _VERDICT_CODE = 1, 2, 2, 1
_XT_NAME, _XT_INFO = 1, 3
_LOG_GROUP = 1
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_UDATA_COMMENT = 0
_UDATA_HEADER_BYTES = 2
_NFPROTO_BRIDGE = 7
_TARGETS: dict[str, Verdict] = {"DROP": "drop", "REJECT": "reject"}
_EMPTY = memoryview(b"")
_ZERO = memoryview(bytes(4))

_SELECTIVE = frozenset({"cmp", "lookup", "range", "match", "limit", "quota", "connlimit", "dynset", "fib"})
"""Expressions that may end the evaluation of a rule: what was counted before them is not what comes after."""
_IPTABLES = frozenset(
    {"match", "target", "payload", "meta", "cmp", "bitwise", "counter", "immediate", "range", "limit"}
)
"""What iptables-nft writes (supported_exprs in its nft.c), beside ``log`` with a group and a bridge's ``lookup``."""

_COUNTER = b"\x0c\x00\x01\x00counter\x00\x1c\x00\x02\x00\x0c\x00\x01\x00"
"""A counter expression up to its bytes, as a little-endian 64-bit kernel writes it; on others nothing is remembered."""
_VALUES = struct.Struct(">QIQ")  # bytes, header of the next attribute, packets
_PACKETS_HEADER = 0x0C000200


@dataclass(frozen=True, slots=True)
class NftRule(Rule):
    """A rule of nftables.

    Args:
        table: family number and name of its table.
        counters: how many counter expressions it has.
        isolated: its last counter counts exactly the packets that reach the verdict.
        unconditional: it denies every packet that reaches it.
        iptables: iptables-nft could have written it.
    """

    table: tuple[int, str]
    counters: int
    isolated: bool
    unconditional: bool
    iptables: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """A dump of rules; tables are a family number and a name.

    Args:
        counts: rules that count or deny, by table, in the order of evaluation.
        foreign: tables with a rule that iptables-nft would not write.
        covered: tables and chains with a rule that denies whatever reaches it, so that their policy never acts.
    """

    counts: dict[tuple[int, str], list[Count]]
    foreign: set[tuple[int, str]]
    covered: set[tuple[tuple[int, str], str]]


class RuleDecoder:
    """Decodes dumps of rules, one after the other, and remembers the rules of the last one."""

    def __init__(self) -> None:
        self._known: dict[bytes, NftRule] = {}

    def decode(self, data: bytes) -> Rules:
        """Every rule of a dump, with its place in its chain; families that this version does not know are left out.

        Raises:
            FormatError: a rule is truncated, or is in no table or chain.
        """
        known = self._known
        self._known = seen = {}
        positions: dict[tuple[tuple[int, str], str], int] = {}
        rules = Rules({}, set(), set())
        for view in netlink.messages(data, _NEWRULE):
            body = bytes(view)
            rest, octets, packets = _split(body)
            rule = known.get(rest)
            denied = packets
            if rule is None:
                rule, counters, usual = _decode(view)
                if usual and body.count(_COUNTER) == rule.counters <= 1:
                    seen[rest] = rule
                packets = sum(counter[0] for counter in counters) if counters else None
                octets = sum(counter[1] for counter in counters) if counters else None
                denied = counters[-1][0] if counters else None
            else:
                seen[rest] = rule
            place = rule.table, rule.chain
            positions[place] = position = positions.get(place, 0) + 1
            if rule.unconditional:
                rules.covered.add(place)
            if not rule.iptables:
                rules.foreign.add(rule.table)
            if packets is not None or rule.verdict:
                count = Count(rule, position, packets, octets, denied if rule.verdict and rule.isolated else None)
                rules.counts.setdefault(rule.table, []).append(count)
        for table in [table for table in rules.counts if table[0] not in FAMILIES]:
            del rules.counts[table]
        return rules


def _split(body: bytes) -> tuple[bytes, int | None, int | None]:
    """A message without the values of its first counter, and these: bytes, packets."""
    at = body.find(_COUNTER)
    if at >= 0:
        at += len(_COUNTER)
        if len(body) - at >= _VALUES.size:
            octets, header, packets = _VALUES.unpack_from(body, at)
            if header == _PACKETS_HEADER:
                return body[:at] + body[at + _VALUES.size :], octets, packets
    return body, None, None


def _decode(body: memoryview) -> tuple[NftRule, list[tuple[int, int]], bool]:
    """A rule, its counters (packets, bytes), and whether each of them is laid out in the usual way."""
    found = netlink.attributes(body, NFGENMSG.size)
    if not {_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE} <= found.keys():
        raise FormatError("nftables: a rule without table, chain or handle")
    counters: list[tuple[int, int]] = []
    verdict: Verdict = ""
    comment = ""
    usual = isolated = unconditional = iptables = True
    for _kind, expression in netlink.attribute_list(found.get(_RULE_EXPRESSIONS, _EMPTY)):
        parts = netlink.attributes(expression)
        name = netlink.text(parts.get(_EXPR_NAME, _EMPTY))
        data = parts.get(_EXPR_DATA, _EMPTY)
        iptables = iptables and _from_iptables(name, data, body[0])
        if name == "counter":
            counters.append(parse_counter(data))
            isolated = True
            usual = usual and bytes(expression[: len(_COUNTER)]) == _COUNTER
        elif name in _SELECTIVE:
            words = netlink.attributes(data) if name == "match" else {}
            if netlink.text(words.get(_XT_NAME, _EMPTY)) == "comment":
                comment = netlink.text(words.get(_XT_INFO, _EMPTY))
            else:
                isolated = unconditional = False
        else:
            verdict = verdict or _verdict(name, data)
    comment = comment or parse_comment(found.get(_RULE_USERDATA, _EMPTY))
    rule = NftRule(
        identity=netlink.number(found[_RULE_HANDLE], ">"),
        chain=netlink.text(found[_RULE_CHAIN]),
        comment=comment,
        verdict=verdict,
        table=(body[0], netlink.text(found[_RULE_TABLE])),
        counters=len(counters),
        isolated=isolated and bool(counters),
        unconditional=unconditional and bool(verdict),
        iptables=iptables and len(counters) == 1,
    )
    return rule, counters, usual


def parse_counter(data: memoryview) -> tuple[int, int]:
    """Packets and bytes of ``enum nft_counter_attributes``.

    Raises:
        FormatError: one of them is missing or no integer.
    """
    values = netlink.attributes(data)
    if not {_COUNTER_BYTES, _COUNTER_PACKETS} <= values.keys():
        raise FormatError("nftables: a counter without packets or bytes")
    return netlink.number(values[_COUNTER_PACKETS], ">"), netlink.number(values[_COUNTER_BYTES], ">")


def _verdict(name: str, data: memoryview) -> Verdict:
    if name == "reject":
        return "reject"
    if name == "target":
        return _TARGETS.get(netlink.text(netlink.attributes(data).get(_XT_NAME, _EMPTY)), "")
    if name == "immediate":
        parts = netlink.attributes(data)
        value = netlink.attributes(parts.get(_IMMEDIATE_DATA, _EMPTY)).get(_DATA_VERDICT)
        if value is not None and netlink.number(parts.get(_IMMEDIATE_DREG, _ZERO), ">") == _REG_VERDICT:
            code = netlink.attributes(value).get(_VERDICT_CODE)
            if code is not None and netlink.number(code, ">") & _NF_VERDICT_MASK == _NF_DROP:
                return "drop"
    return ""


def _from_iptables(name: str, data: memoryview, family: int) -> bool:
    if name == "log":
        return _LOG_GROUP in netlink.attributes(data)
    if name == "lookup":
        return family == _NFPROTO_BRIDGE
    return name in _IPTABLES


def parse_comment(userdata: memoryview) -> str:
    """The comment among the type-length-value triples that user space attached; it alone knows the others.

    Rules, tables and elements of sets all have it as type 0 (libnftnl, include/libnftnl/udata.h).
    """
    offset = 0
    while len(userdata) - offset >= _UDATA_HEADER_BYTES:
        kind, size = userdata[offset], userdata[offset + 1]
        offset += _UDATA_HEADER_BYTES
        if kind == _UDATA_COMMENT:
            return netlink.text(userdata[offset : offset + size])
        offset += size
    return ""
