"""Tables of nftables: chains with policies, rules and named counters, and which of them are iptables' own.

Four dumps (``NFT_MSG_GET{TABLE,CHAIN,RULE,OBJ}``), repeated until all belong to
one generation of the ruleset. Sets are not read, so neither are counters in
their elements. Sources: include/uapi/linux/netfilter/nf_tables.h,
net/netfilter/nf_tables_api.c. Needs CAP_NET_ADMIN.

``iptables-nft`` keeps its rules in nftables too. A table is taken for its own,
by the test that it applies itself (nft_is_table_compatible in iptables/nft.c,
up to 1.8.11), a little sharpened, if

* its family is ip, ip6, arp or bridge and its name one of iptables' there;
* it has a base chain, and each is one of iptables' by name, hook and priority;
* it holds no named object;
* every rule has exactly one counter, and only expressions that iptables writes.

The table of natobs' own accounting is left out: it is no firewall.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import accounting_table, netlink
from natobs.kernel.firewall import Backend, NamedCounter, Policy, Table
from natobs.kernel.machine import Machine, Netlink
from natobs.kernel.nft_rules import FAMILIES, NFGENMSG, NFTABLES, RuleDecoder, Rules, parse_comment, parse_counter

_ANYTHING = NFGENMSG.pack(0, 0, 0)
TABLES = Netlink("nft-tables", netlink.NETLINK_NETFILTER, NFTABLES | 1, _ANYTHING)
CHAINS = Netlink("nft-chains", netlink.NETLINK_NETFILTER, NFTABLES | 4, _ANYTHING)
RULES = Netlink("nft-rules", netlink.NETLINK_NETFILTER, NFTABLES | 7, _ANYTHING)
OBJECTS = Netlink("nft-objects", netlink.NETLINK_NETFILTER, NFTABLES | 19, _ANYTHING)

_NEWTABLE, _NEWCHAIN, _NEWOBJ = NFTABLES | 0, NFTABLES | 3, NFTABLES | 18
_TABLE_NAME, _TABLE_FLAGS, _TABLE_HANDLE, _TABLE_USERDATA = 1, 2, 4, 6
_TABLE_F_DORMANT = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_COUNTERS = 1, 3, 4, 5, 8
_HOOK_HOOKNUM, _HOOK_PRIORITY = 1, 2
_OBJ_TABLE, _OBJ_NAME, _OBJ_TYPE, _OBJ_DATA, _OBJ_HANDLE = 1, 2, 3, 4, 6
_OBJECT_COUNTER = 1
_NF_DROP = 0
_ATTEMPTS = 3

_PREROUTING, _INPUT, _FORWARD, _OUTPUT, _POSTROUTING = range(5)  # enum nf_inet_hooks; a bridge has the same numbers
_IP: dict[str, dict[str, tuple[int, int]]] = {
    "filter": {"INPUT": (_INPUT, 0), "FORWARD": (_FORWARD, 0), "OUTPUT": (_OUTPUT, 0)},
    "nat": {
        "PREROUTING": (_PREROUTING, -100),
        "INPUT": (_INPUT, 100),
        "OUTPUT": (_OUTPUT, -100),
        "POSTROUTING": (_POSTROUTING, 100),
    },
    "mangle": {
        "PREROUTING": (_PREROUTING, -150),
        "INPUT": (_INPUT, -150),
        "FORWARD": (_FORWARD, -150),
        "OUTPUT": (_OUTPUT, -150),
        "POSTROUTING": (_POSTROUTING, -150),
    },
    "raw": {"PREROUTING": (_PREROUTING, -300), "OUTPUT": (_OUTPUT, -300)},
    "security": {"INPUT": (_INPUT, 50), "FORWARD": (_FORWARD, 50), "OUTPUT": (_OUTPUT, 50)},
}
_BUILT_IN = {
    "ip": _IP,
    "ip6": _IP,
    "arp": {"filter": {"INPUT": (0, 0), "OUTPUT": (1, 0)}},  # NF_ARP_IN, NF_ARP_OUT
    "bridge": {
        "filter": {"INPUT": (_INPUT, -200), "FORWARD": (_FORWARD, -200), "OUTPUT": (_OUTPUT, -200)},
        "nat": {"PREROUTING": (_PREROUTING, -300), "OUTPUT": (_OUTPUT, 100), "POSTROUTING": (_POSTROUTING, 300)},
        "broute": {"BROUTING": (_PREROUTING, -(2**31))},
    },
}
"""Family, table and chain to hook and priority: the builtin_table rows of iptables, arptables and ebtables (nft.c)."""

TableKey = tuple[int, str]
"""Family number and name."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A base chain.

    Args:
        name: its name.
        hook: hook number, None where it is not told.
        priority: signed.
        drop: whether its policy is to drop.
        counter: packets and bytes that its policy acted on; None where it does not count them.
    """

    name: str
    hook: int | None
    priority: int
    drop: bool
    counter: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Objects:
    """Named objects: which tables have some of whatever kind, and the counters among them."""

    owners: frozenset[TableKey]
    counters: dict[TableKey, list[NamedCounter]]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table.

    Args:
        handle: which no other table ever had; None before Linux 4.16.
        dormant: whether it is switched off.
        comment: as it was written; empty without one, and before Linux 5.10.
    """

    handle: int | None
    dormant: bool
    comment: str = ""


def read_tables(machine: Machine, decoder: RuleDecoder) -> list[Table]:
    """Every table of this network namespace; an empty list where there is none.

    Args:
        machine: the machine to ask.
        decoder: remembers the rules from one call to the next.

    Raises:
        UnavailableError: no nf_tables in the kernel, no privilege, or the ruleset changed during every attempt.
        FormatError: an answer is not what the kernel documents.
    """
    for _attempt in range(_ATTEMPTS):
        answers = [machine.ask(query) for query in (TABLES, CHAINS, RULES, OBJECTS)]
        if len(set().union(*map(_generations, answers))) <= 1:
            tables, chains, rules, objects = answers
            return assemble(parse_tables(tables), parse_chains(chains), decoder.decode(rules), parse_objects(objects))
    raise UnavailableError("busy", f"nftables: the ruleset changed during each of {_ATTEMPTS} readings")


def assemble(
    infos: dict[TableKey, TableInfo], chains: dict[TableKey, list[Chain]], rules: Rules, objects: Objects
) -> list[Table]:
    """Put the four dumps together, a table each, and tell whose it is."""
    tables = []
    for key, info in infos.items():
        if accounting_table.owns(*key, info.comment):
            continue
        family, name = FAMILIES[key[0]], key[1]
        bases = chains.get(key, [])
        suspect = key in objects.owners or key in rules.foreign
        backend: Backend = "iptables-nft" if not suspect and _built_in(family, name, bases) else "nftables"
        tables.append(
            Table(
                identity=(*key, info.handle),
                backend=backend,
                family=family,
                name=name,
                counts=rules.counts.get(key, []),
                policies=[
                    Policy(chain.name, chain.drop, *(chain.counter or (None, None)))
                    for chain in bases
                    if chain.counter or (chain.drop and not info.dormant and (key, chain.name) not in rules.covered)
                ],
                counters=objects.counters.get(key, []),
            )
        )
    return tables


def parse_tables(data: bytes) -> dict[TableKey, TableInfo]:
    """Decode ``NFT_MSG_NEWTABLE``.

    Raises:
        FormatError: a table is truncated or has no name.
    """
    return {
        (family, _name(found, _TABLE_NAME)): TableInfo(
            handle=netlink.number(found[_TABLE_HANDLE], ">") if _TABLE_HANDLE in found else None,
            dormant=bool(_TABLE_FLAGS in found and netlink.number(found[_TABLE_FLAGS], ">") & _TABLE_F_DORMANT),
            comment=parse_comment(found[_TABLE_USERDATA]) if _TABLE_USERDATA in found else "",
        )
        for family, found in _objects(data, _NEWTABLE)
    }


def parse_chains(data: bytes) -> dict[TableKey, list[Chain]]:
    """Decode the base chains among ``NFT_MSG_NEWCHAIN``, by table.

    Raises:
        FormatError: a chain is truncated or has no name.
    """
    chains: dict[TableKey, list[Chain]] = {}
    for family, found in _objects(data, _NEWCHAIN):
        if _CHAIN_HOOK not in found:
            continue
        hook = netlink.attributes(found[_CHAIN_HOOK])
        priority = netlink.number(hook[_HOOK_PRIORITY], ">") if _HOOK_PRIORITY in hook else 0
        chains.setdefault((family, _name(found, _CHAIN_TABLE)), []).append(
            Chain(
                name=_name(found, _CHAIN_NAME),
                hook=netlink.number(hook[_HOOK_HOOKNUM], ">") if _HOOK_HOOKNUM in hook else None,
                priority=priority - (priority >> 31 << 32),
                drop=_CHAIN_POLICY in found and netlink.number(found[_CHAIN_POLICY], ">") == _NF_DROP,
                counter=parse_counter(found[_CHAIN_COUNTERS]) if _CHAIN_COUNTERS in found else None,
            )
        )
    return chains


def parse_objects(data: bytes) -> Objects:
    """Decode the counters among ``NFT_MSG_NEWOBJ``.

    Raises:
        FormatError: an object is truncated or has no name, or a counter no values.
    """
    owners: set[TableKey] = set()
    counters: dict[TableKey, list[NamedCounter]] = {}
    for family, found in _objects(data, _NEWOBJ):
        key = (family, _name(found, _OBJ_TABLE))
        owners.add(key)
        if _OBJ_TYPE in found and netlink.number(found[_OBJ_TYPE], ">") == _OBJECT_COUNTER:
            if _OBJ_DATA not in found:
                raise FormatError("nftables: a named counter without values")
            name = _name(found, _OBJ_NAME)
            handle = netlink.number(found[_OBJ_HANDLE], ">") if _OBJ_HANDLE in found else None
            counters.setdefault(key, []).append(NamedCounter((name, handle), name, *parse_counter(found[_OBJ_DATA])))
    return Objects(frozenset(owners), counters)


def _objects(data: bytes, wanted: int) -> Iterator[tuple[int, netlink.Attributes]]:
    for body in netlink.messages(data, wanted):
        found = netlink.attributes(body, NFGENMSG.size)
        if body[0] in FAMILIES:
            yield body[0], found


def _name(found: netlink.Attributes, kind: int) -> str:
    if kind not in found:
        raise FormatError("nftables: an object without the name of its table or of its own")
    return netlink.text(found[kind])


def _generations(data: bytes) -> set[bytes]:
    """The generation that a dump was taken from, by its first message: a dump of several is asked for again anyway."""
    for kind, _flags, _sequence, body in netlink.headers(data):
        if kind >= netlink.NLMSG_MIN_TYPE:
            return {bytes(body[2:4])}
    return set()


def _built_in(family: str, table: str, bases: list[Chain]) -> bool:
    known = _BUILT_IN.get(family, {}).get(table, {})
    return bool(bases) and all(known.get(chain.name) == (chain.hook, chain.priority) for chain in bases)
