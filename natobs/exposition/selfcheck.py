"""The probes of an agent that was given none: to this host alone, at a gentle rate.

They show that probing works here, and nothing of the network: no packet of
theirs leaves the host. They are ``access`` probes, so that nobody takes their
successes for those of outbound connections.
"""

import ipaddress
import socket
from collections.abc import Iterator, Sequence

from natobs.exposition.listen import Address
from natobs.probe_config import KindName, ProbeFile, ProbeSettings

PREFIX = "self-check"
"""Names of these probes begin with it."""

_SECONDS = 5.0
_IPV4, _IPV6 = "127.0.0.1", "::1"


def self_check(listeners: Sequence[Address]) -> ProbeFile:
    """Probes of this host.

    Args:
        listeners: what the agent listens on, as bound.
    """
    pinged = (_IPV4, _IPV6) if _has_ipv6() else (_IPV4,)
    probes = [_probe("icmp", pinged)]
    # With TLS too no more than a connection: there may be a client certificate to show.
    if connected := tuple(dict.fromkeys(_connectable(listeners))):
        probes.append(_probe("tcp", connected))
    return ProbeFile(probe=tuple(probes))


def _probe(kind: KindName, targets: tuple[str, ...]) -> ProbeSettings:
    # With series of their own: where all of a kind share one, loopback's round trips would pass for those to a NAT.
    return ProbeSettings(
        name=f"{PREFIX}-{kind}", kind=kind, targets=targets, access=True, critical=True, interval_seconds=_SECONDS
    )


def _connectable(listeners: Sequence[Address]) -> Iterator[str]:
    """The listeners as this host connects to them."""
    for host, port in listeners:
        ip = ipaddress.ip_address(host)
        if ip.is_unspecified:
            yield str(Address(_IPV6 if ":" in host else _IPV4, port))
        elif not ip.is_link_local:  # which would need a scope
            yield str(Address(host, port))


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened:
            opened.bind((_IPV6, 0))
    except OSError:
        return False
    return True
