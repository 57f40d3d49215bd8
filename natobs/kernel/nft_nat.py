"""Rules of nftables that translate sources: ``masq`` and ``nat`` expressions, and iptables-nft's targets.

Follows the registers that addresses and ports are put into, and tells the
conditions of rules apart; what is loaded from elsewhere (a map, a random number)
is not followed. Sources: include/uapi/linux/netfilter/nf_tables.h,
net/netfilter/nft_masq.c, nft_nat.c, nf_tables_api.c (nft_parse_register,
nf_tables_fill_set), and what nft 1.0 and 1.1 write.
"""

import zlib
from collections.abc import Callable, Hashable

from natobs.errors import FormatError, KernelError
from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink
from natobs.kernel.nat_rules import NatRule
from natobs.kernel.nft_rules import NFGENMSG, NFTABLES
from natobs.kernel.xt_nat import TARGETS, parse_range

RULES = Netlink("nft-rules", netlink.NETLINK_NETFILTER, NFTABLES | 7, NFGENMSG.pack(0, 0, 0))
"""The same question as :data:`natobs.kernel.nftables.RULES`."""

Elements = Callable[[int, str, str], frozenset[bytes] | None]
"""Family, table and name of a set to its elements; None where they are not to be had."""

_NEWRULE, _NEWSETELEM, _GETSETELEM = NFTABLES | 6, NFTABLES | 12, NFTABLES | 13
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_EXPR_NAME, _EXPR_DATA = 1, 2
_DREG, _VALUE = 1, 1
_IMMEDIATE_DATA = 2
_META_KEY, _META_NFPROTO, _META_L4PROTO = 2, 15, 16
_CMP_OP, _CMP_DATA, _CMP_EQ = 2, 3, 0
_ELEMENT_KEY, _ELEMENT_FLAGS = 1, 3
_LOOKUP_SET, _LOOKUP_DREG, _LOOKUP_FLAGS = 1, 3, 5
_MASQ_PORT_MIN, _MASQ_PORT_MAX = 2, 3
_NAT_TYPE, _NAT_FAMILY, _NAT_ADDRESS_MIN, _NAT_ADDRESS_MAX, _NAT_PORT_MIN, _NAT_PORT_MAX = range(1, 7)
_NAT_SNAT = 0
_XT_NAME, _XT_REVISION, _XT_INFO = 1, 2, 3
_PAYLOAD_BASE, _PAYLOAD_OFFSET, _PAYLOAD_LENGTH, _NETWORK_HEADER = 2, 3, 4, 1
_PROTOCOL_AT = {(9, 1): False, (6, 1): True}
"""Offset and length of the protocol in the network header, to whether it is IPv6's."""
_NFPROTO_IPV4, _NFPROTO_IPV6 = 2, 10
_FAMILY_IPV6 = {_NFPROTO_IPV4: False, _NFPROTO_IPV6: True}
_SLOTS_A_REGISTER = 4
_FIRST_SLOT = 8  # NFT_REG32_00
_ANONYMOUS = "__set"
_PORT_BYTES, _ADDRESS_BYTES = 2, {False: 4, True: 16}
_EMPTY = memoryview(b"")

_TESTS = frozenset({"cmp", "lookup", "range", "match", "limit", "quota", "connlimit", "dynset", "fib", "xfrm"})
"""Expressions that may end the evaluation of a rule; what is loaded before them belongs to them."""
_NO_CONDITION = frozenset({"counter", "log", "last", "notrack"})
_TRANSLATE = (b"masq\0", b"nat\0", b"MASQUERADE\0", b"SNAT\0")


def read(machine: Machine) -> list[NatRule]:
    """Every rule that translates sources; anonymous sets that they look into are read too.

    Raises:
        UnavailableError: no nf_tables in the kernel, or no privilege.
        FormatError: an answer is not what the kernel documents.
    """

    def elements(family: int, table: str, name: str) -> frozenset[bytes] | None:
        # Anonymous sets are small and never change; a set with a name may have any size.
        if not name.startswith(_ANONYMOUS):
            return None
        try:
            return parse_elements(machine.ask(elements_of(family, table, name)))
        except KernelError:
            return None

    return parse(machine.ask(RULES), elements)


def elements_of(family: int, table: str, name: str) -> Netlink:
    """The question for the elements of a set."""
    words = (netlink.attribute(kind, text.encode() + b"\0") for kind, text in ((1, table), (2, name)))
    payload = NFGENMSG.pack(family, 0, 0) + b"".join(words)
    # Names of tables may contain slashes, and the name of a question is a path.
    question = f"nft-set-elements-{zlib.crc32(payload):08x}"
    return Netlink(question, netlink.NETLINK_NETFILTER, _GETSETELEM, payload)


def parse_elements(data: bytes) -> frozenset[bytes]:
    """The elements of a set, as the kernel writes them; raises FormatError."""
    return frozenset(
        bytes(element)
        for body in netlink.messages(data, _NEWSETELEM)
        for _kind, element in netlink.attribute_list(netlink.attributes(body, NFGENMSG.size).get(3, _EMPTY))
    )


def parse(data: bytes, elements: Elements) -> list[NatRule]:
    """Decode a dump of rules.

    Args:
        data: answer to :data:`RULES`.
        elements: gives the elements of a set.

    Raises:
        FormatError: a rule is truncated, or is in no table or chain.
    """
    rules = []
    for body in netlink.messages(data, _NEWRULE):
        if body[0] not in (1, *_FAMILY_IPV6) or not any(word in bytes(body) for word in _TRANSLATE):
            continue
        found = netlink.attributes(body, NFGENMSG.size)
        if not {_RULE_TABLE, _RULE_CHAIN} <= found.keys():
            raise FormatError("nftables: a rule without table or chain")
        place = body[0], netlink.text(found[_RULE_TABLE]), netlink.text(found[_RULE_CHAIN])
        rule = _Rule(place, elements).follow(found.get(_RULE_EXPRESSIONS, _EMPTY))
        if rule is not None:
            rules.append(rule)
    return rules


class _Rule:
    """One rule, followed expression by expression."""

    def __init__(self, place: tuple[int, str, str], elements: Elements) -> None:
        self._place = place
        self._elements = elements
        self._ipv6 = _FAMILY_IPV6.get(place[0])
        self._registers: dict[int, bytes] = {}
        self._loads: list[tuple[str, bytes]] = []
        self._conditions: set[Hashable] = set()
        self._protocols: frozenset[int] | None = None

    def follow(self, expressions: memoryview) -> NatRule | None:
        for _kind, expression in netlink.attribute_list(expressions):
            parts = netlink.attributes(expression)
            name, data = netlink.text(parts.get(_EXPR_NAME, _EMPTY)), parts.get(_EXPR_DATA, _EMPTY)
            words = netlink.attributes(data)
            if name == "masq":
                return self._translation(None, self._ports(words, _MASQ_PORT_MIN, _MASQ_PORT_MAX))
            if name == "nat":
                return self._nat(words)
            if name == "target":
                return self._target(words)
            if name == "immediate":
                self._immediate(words)
            elif name in _TESTS:
                self._test(name, data, words)
            elif name not in _NO_CONDITION:
                self._loads.append((name, bytes(data)))
                self._registers.clear()  # whatever it wrote, and wherever
        return None

    def _immediate(self, words: netlink.Attributes) -> None:
        value = netlink.attributes(words.get(_IMMEDIATE_DATA, _EMPTY)).get(_VALUE)
        if _DREG in words and value is not None:
            self._registers[_slot(words[_DREG])] = bytes(value)

    def _test(self, name: str, data: memoryview, words: netlink.Attributes) -> None:
        loads, self._loads = tuple(self._loads), []
        if name == "match" and netlink.text(words.get(_XT_NAME, _EMPTY)) == "comment":
            return
        values: frozenset[bytes] | None = None
        if name == "lookup":
            found = self._elements(self._place[0], self._place[1], netlink.text(words.get(_LOOKUP_SET, _EMPTY)))
            flags = bytes(words.get(_LOOKUP_FLAGS, _EMPTY))
            if _LOOKUP_DREG in words:
                self._registers.clear()
            test: Hashable = (name, bytes(data)) if found is None else (name, found, flags)
            if found is not None and not any(flags) and _LOOKUP_DREG not in words:
                values = frozenset(map(_key, found))
        else:
            test = (name, bytes(data))
            if name == "cmp" and netlink.number(words.get(_CMP_OP, _EMPTY), ">") == _CMP_EQ:
                values = frozenset({bytes(netlink.attributes(words.get(_CMP_DATA, _EMPTY)).get(_VALUE, _EMPTY))})
        if values is None or not self._protocol(loads, values):
            self._conditions.add((loads, test))

    def _protocol(self, loads: tuple[tuple[str, bytes], ...], values: frozenset[bytes]) -> bool:
        """Take note of the protocols, or the family, that a test leaves; whether it was such a test."""
        if len(loads) != 1 or any(len(value) != 1 for value in values):
            return False
        name, data = loads[0]
        words = netlink.attributes(memoryview(data))
        numbers = {key: netlink.number(words[key], ">") for key in words if len(words[key]) == 4}  # noqa: PLR2004  u32
        if name == "meta" and numbers.get(_META_KEY) == _META_NFPROTO and len(values) == 1:
            family = _FAMILY_IPV6.get(next(iter(values))[0])
            self._ipv6 = family if self._ipv6 is None else self._ipv6
            return family is not None and family == self._ipv6
        at = (numbers.get(_PAYLOAD_OFFSET, -1), numbers.get(_PAYLOAD_LENGTH, -1))
        in_header = name == "payload" and numbers.get(_PAYLOAD_BASE) == _NETWORK_HEADER
        if (name == "meta" and numbers.get(_META_KEY) == _META_L4PROTO) or (
            in_header and self._ipv6 is not None and _PROTOCOL_AT.get(at) == self._ipv6
        ):
            protocols = frozenset(value[0] for value in values)
            self._protocols = protocols if self._protocols is None else self._protocols & protocols
            return True
        return False

    def _nat(self, words: netlink.Attributes) -> NatRule | None:
        if netlink.number(words.get(_NAT_TYPE, _EMPTY), ">") != _NAT_SNAT:
            return None
        if self._ipv6 is None and _NAT_FAMILY in words:
            self._ipv6 = _FAMILY_IPV6.get(netlink.number(words[_NAT_FAMILY], ">"))
        first = self._value(words, _NAT_ADDRESS_MIN)
        last = self._value(words, _NAT_ADDRESS_MAX) or first
        size = _ADDRESS_BYTES.get(self._ipv6 or False)
        addresses = (first, last) if first and last and len(first) == len(last) == size else None
        return self._translation(addresses, self._ports(words, _NAT_PORT_MIN, _NAT_PORT_MAX))

    def _target(self, words: netlink.Attributes) -> NatRule | None:
        target = netlink.text(words.get(_XT_NAME, _EMPTY))
        if target not in TARGETS or self._ipv6 is None:
            return None
        revision = netlink.number(words[_XT_REVISION], ">") if _XT_REVISION in words else 0
        addresses, ports = parse_range(target, revision, bytes(words.get(_XT_INFO, _EMPTY)), ipv6=self._ipv6)
        return self._translation(addresses, (ports, True))

    def _ports(self, words: netlink.Attributes, low: int, high: int) -> tuple[tuple[int, int] | None, bool]:
        """The ports that two registers hold, and whether that is known."""
        if low not in words:
            return None, True
        first = self._value(words, low)
        last = self._value(words, high) if high in words else first
        if first is None or last is None or min(len(first), len(last)) < _PORT_BYTES:
            return None, False
        return (int.from_bytes(first[:_PORT_BYTES], "big"), int.from_bytes(last[:_PORT_BYTES], "big")), True

    def _value(self, words: netlink.Attributes, kind: int) -> bytes | None:
        return self._registers.get(_slot(words[kind])) if kind in words else None

    def _translation(
        self, addresses: tuple[bytes, bytes] | None, ports: tuple[tuple[int, int] | None, bool]
    ) -> NatRule:
        conditions = frozenset(self._conditions)
        return NatRule(("nftables", *self._place), self._ipv6, self._protocols, conditions, addresses, *ports)


def _slot(register: memoryview) -> int:
    """A register in units of 32 bits: the old names 1 to 4 are of 128 bits each."""
    number = netlink.number(register, ">")
    return number - _FIRST_SLOT if number >= _FIRST_SLOT else (number - 1) * _SLOTS_A_REGISTER


def _key(element: bytes) -> bytes:
    """The value of a set's element (NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE); empty for an end of an interval."""
    parts = netlink.attributes(memoryview(element))
    if any(parts.get(_ELEMENT_FLAGS, _EMPTY)):
        return b""
    key = parts.get(_ELEMENT_KEY, _EMPTY)
    return bytes(netlink.attributes(key).get(_VALUE, _EMPTY))
