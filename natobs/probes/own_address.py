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


class OwnAddresses:
    """Remembers each address, so that it is still known when the route that it was found by is gone."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int, int], str] = {}

    def samples(self, definitions: Iterable[ProbeSettings]) -> Iterator[Sample]:
        """One sample for each address."""
        wanted = {
            (settings.source, settings.interface, settings.mark, family): settings
            for settings in definitions
            for family in _SOMEWHERE
        }
        self._known = {way: address for way, address in self._known.items() if way in wanted}
        for way, settings in wanted.items():
            address = _address(settings, way[3])
            if address:
                self._known[way] = address
        for address in sorted(set(self._known.values()))[:_MOST]:
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
