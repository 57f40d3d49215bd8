"""The addresses that this host's probes go out from, as the NAT sees them.

They join what a prober says with what the taps of the NAT's agent saw of it.
Knows the kernel's choice of a source address; refuses to know what is sent.
"""

import socket
from collections.abc import Iterable, Iterator

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import Sample
from natobs.errors import NatobsError
from natobs.probe_config import ProbeSettings
from natobs.probes.sockets import connect, open_socket

_MOST = 16
"""Addresses that are exported: definitions with a source of their own may make more, which nobody needs."""
_SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Documentation addresses (RFC 5737, RFC 3849), which the default route leads to. Nothing is sent there."""
_DISCARD_PORT = 9

_Way = tuple[str, str, int, int]
"""Source, interface, mark and family of a definition."""


class OwnAddresses:
    """Remembers each address, so that it is still known when the route that it was found by is gone."""

    def __init__(self) -> None:
        self._known: dict[_Way, str] = {}

    def samples(self, definitions: Iterable[ProbeSettings]) -> Iterator[Sample]:
        """One sample for each address."""
        wanted: dict[_Way, ProbeSettings] = {
            (settings.source, settings.interface, settings.mark, family): settings
            for settings in definitions
            for family in _SOMEWHERE
        }
        before = self._known  # replaced as a whole: several threads may ask at once
        found = {way: _address(settings, way[3]) or before.get(way, "") for way, settings in wanted.items()}
        self._known = known = {way: address for way, address in found.items() if address}
        for address in sorted(set(known.values()))[:_MOST]:
            yield metric.SOURCE.sample(1, address)


def _address(settings: ProbeSettings, family: int) -> str:
    """The source address of a datagram that the definition would send along the default route; empty without one.

    Connecting a datagram socket looks up the route and sends nothing.
    """
    try:
        with open_socket(settings, family, socket.SOCK_DGRAM) as opened:
            connect(opened, (_SOMEWHERE[socket.AddressFamily(family)], _DISCARD_PORT))
            return str(opened.getsockname()[0])
    except (OSError, NatobsError):
        return ""
