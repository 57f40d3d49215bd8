"""Who may ask the responder, about which targets, and where it may listen. Pure.

Knows prefixes and the configuration; refuses to know packets. Every refusal of
a configuration says which key it is about and what to write instead.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from natobs.config import Nat, Network, Prefix, Responder
from natobs.errors import ConfigError
from natobs.probe_config import split_target
from natobs.wire.asking import PORT

Endpoint = tuple[str, int]

_SPECIAL: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "::/8",
        "2002::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
    )
)
"""Private, local, or for something else than hosts of the internet: RFC 6890, and RFC 3879 for the last. Clouds have
metadata services there. In ``::/8`` (with 64:ff9b::/96 of NAT64) and 2002::/16 an IPv4 address is hidden in another."""
_NEVER: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in ("224.0.0.0/3", "ff00::/8"))
"""Multicast, reserved and broadcast: more than one host might answer."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What the responder may do.

    Args:
        endpoints: where it listens; nowhere when it is off.
        allow: prefixes of those who are answered.
        targets: prefixes that are probed.
    """

    endpoints: tuple[Endpoint, ...]
    allow: tuple[Network, ...]
    targets: tuple[Network, ...]

    def may_ask(self, source: str) -> bool:
        """Whether this source is answered at all."""
        return _within(ipaddress.ip_address(source.partition("%")[0]), self.allow)

    def may_probe(self, host: str) -> bool:
        """Whether this numeric address may be probed.

        A private or otherwise special one only if a prefix names nothing else: 0.0.0.0/0 is the internet, not 10.0.0.5.
        """
        address = ipaddress.ip_address(host)
        if _within(address, _NEVER):
            return False
        special = next((network for network in _SPECIAL if address in network), None)
        if special is None:
            return _within(address, self.targets)
        narrow = [network for network in self.targets if network.version == special.version]
        return _within(address, [network for network in narrow if network.prefixlen >= special.prefixlen])


def permission_of(responder: Responder, nat: Nat) -> Permission:
    """Check a configuration.

    Raises:
        ConfigError: it listens where strangers are, or answers nobody, or may probe nothing.
    """
    if responder.listen:
        if not responder.allow:
            raise ConfigError(
                'responder.allow: nobody may ask; name the prefixes of the probers, for example ["10.0.1.0/24"]'
            )
        if not responder.targets:
            raise ConfigError(
                "responder.targets: nothing may be probed; name the prefixes of the targets that probers compare, "
                'for example ["198.51.100.1/32"]'
            )
    endpoints = tuple(_endpoint(text, nat.inside) for text in responder.listen)
    if len(set(endpoints)) < len(endpoints):
        raise ConfigError("responder.listen: an address stands there twice")
    return Permission(endpoints, _networks(responder.allow), _networks(responder.targets))


def _endpoint(text: str, inside: Sequence[Prefix]) -> Endpoint:
    try:
        host, port = split_target(text, PORT)
        address = ipaddress.ip_address(host)
    except (ConfigError, ValueError) as error:
        raise ConfigError(
            f"responder.listen: {text!r} is no address with a port; expected one such as 10.0.1.1:{PORT}"
        ) from error
    if address.is_unspecified:
        raise ConfigError(
            f"responder.listen: {text!r} is every address of this machine, the public ones too; name the inside address"
        )
    if not address.is_loopback and not _within(address, _networks(inside)):
        raise ConfigError(
            f"responder.listen: {text!r} is not within nat.inside; the responder is for private hosts only. Name the "
            "inside address, or add its prefix to nat.inside"
        )
    return str(address), port


def _networks(prefixes: Sequence[Prefix]) -> tuple[Network, ...]:
    return tuple(prefix.network for prefix in prefixes)


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
