"""The nftables table by which the kernel counts attempts and answers of forwarded flows: its text, for ``nft -f -``.

The rules stand in ``accounting.nft`` beside this module; here prefixes, sizes
and the table's mark are filled in. Pure: refuses to know how the text is loaded
and how the counters are read.

* An *attempt* is the first packet of a flow from a private prefix to elsewhere,
  counted right behind conntrack, while the entry is unconfirmed. An attempt that
  is lost between there and the way out (no route, a filter, no port) leaves no
  entry: sent again, it is an attempt again.
* Packets that conntrack itself refuses do not come that far. The same packets are
  counted before conntrack too; the difference is what it refused.
* An *answer* is counted behind every filter and translation, once for each flow
  with a counted attempt. "Once" is kept in two bits of the entry's label (``ct
  label set`` ORs, net/netfilter/nft_ct.c): one says that the attempt was counted,
  one that its answer was. The obvious test, ``ct reply packets 1``, misses the
  flow whose first answer a filter drops, and needs nf_conntrack_acct.
* A reset or ICMP error *refuses* an attempt, unless this machine made it itself:
  ``reject`` sends resets in the state ``related`` (nf_conntrack_attach in
  net/netfilter/nf_conntrack_core.c), and its ICMP errors have a local source.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from string import Template

from natobs.kernel.address import Network

FAMILY = 1
"""NFPROTO_INET."""
NAME = "natobs"
MARK = "natobs accounting"
"""How the table's comment begins; a table of this name without it is somebody else's."""
LAST_LABEL = 127
"""Bits of a conntrack label are numbered from 0 to this."""

_RULES = Template(files("natobs.kernel").joinpath("accounting.nft").read_text("utf-8"))
_DIGEST_CHARACTERS = 16
_SPELLED_OUT = 8
"""So many prefixes are compared one by one, at 15 ns each; to look one up in a set takes 110 ns (Linux 6.18)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the table is made for.

    Args:
        inside: prefixes of the private hosts, IPv4 and IPv6; the fewer, the cheaper.
        destinations: the most destinations that are told apart, for each IP version.
        hosts: the most private hosts that are told apart, for each IP version.
        timeout_seconds: a destination or host without an attempt for so long is forgotten.
        label: the lower of two neighbouring bits of the conntrack label, below ``LAST_LABEL``.
    """

    inside: Sequence[Network]
    destinations: int
    hosts: int
    timeout_seconds: int
    label: int


def mark(settings: Settings) -> str:
    """The table's comment: whose it is, and a digest of everything that is in it."""
    digest = sha256(_filled(settings, MARK).encode()).hexdigest()
    return f"{MARK} {digest[:_DIGEST_CHARACTERS]}"


def text(settings: Settings, quarantined: Sequence[str] = ()) -> str:
    """The whole table, as ``nft -f -`` takes it.

    Args:
        settings: what it is made for.
        quarantined: elements of the quarantine sets: addresses, prefixes and ranges, a comment behind them.
    """
    return _filled(settings, mark(settings)) + "".join(_elements("quarantine", quarantined))


def creation(settings: Settings) -> str:
    """The same for the first time: fails where there is a table of the name already."""
    return f'create table inet {NAME} {{ comment "{mark(settings)}"; }}\n{text(settings)}'


def replacement(settings: Settings, handle: int, quarantined: Sequence[str]) -> str:
    """The same in the place of a table that is there already, in one transaction.

    Args:
        settings: what the table is made for.
        handle: of the table that goes.
        quarantined: as for :func:`text`.
    """
    # By its name too, though it is gone by then: nft forgets what it knew of the sets of a table only in this way.
    forget = f"add table inet {NAME}\ndelete table inet {NAME}\n"
    return removal(handle) + forget + text(settings, quarantined)


def removal(handle: int) -> str:
    """What removes the table with a handle, and never another of its name."""
    return f"delete table inet handle {handle}\n"


def count_rules(settings: Settings) -> int:
    """How many rules the table has."""
    lines = [line.strip() for line in _filled(settings, MARK).partition("\tchain ")[2].splitlines()]
    return sum(not line.startswith(("#", "type ", "chain ", "}", "add ")) for line in lines if line) - 1


def owns(family: int, name: str, comment: str) -> bool:
    """Whether a table is one that was made here: by its family's number, its name and its comment."""
    return family == FAMILY and name == NAME and comment.startswith(MARK)


def _filled(settings: Settings, comment: str) -> str:
    sets, rules = "", _RULES.template
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        name = f"inside{version}"
        prefixes = [str(prefix) for prefix in _collapsed(settings.inside, version)]
        if len(prefixes) > _SPELLED_OUT:
            sets += (
                f"\tset {name} {{\n\t\ttype {kind}; flags interval\n\t\telements = {{ {', '.join(prefixes)} }}\n\t}}\n"
            )
        else:
            rules = "".join(_once_for_each(f"@{name}", prefixes, rules))
    return Template(rules).substitute(
        mark=comment,
        attempted=settings.label,
        answered=settings.label + 1,
        destinations=settings.destinations,
        hosts=settings.hosts,
        timeout=settings.timeout_seconds,
        prefix_sets=sets,
    )


def _collapsed(networks: Sequence[Network], version: int) -> Iterator[Network]:
    """Prefixes of an IP version in ascending order, none of them within another."""
    if version == 4:  # noqa: PLR2004 - an IP version
        return collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    return collapse_addresses(network for network in networks if isinstance(network, IPv6Network))


def _once_for_each(what: str, prefixes: Sequence[str], rules: str) -> Iterator[str]:
    """Lines, and those that name a set once for each of its elements instead."""
    for line in rules.splitlines(keepends=True):
        yield from (line.replace(what, prefix) for prefix in prefixes) if what in line else (line,)


def _elements(name: str, members: Sequence[str]) -> list[str]:
    by_version = {
        # A comment may stand behind the address.
        version: [text for text in members if (":" in text.partition(" ")[0]) == (version == 6)]  # noqa: PLR2004 - IP
        for version in (4, 6)
    }
    return [
        f"add element inet {NAME} {name}{version} {{ {', '.join(texts)} }}\n"
        for version, texts in by_version.items()
        if texts
    ]
