"""Tells whether an address that the agent listens on can be reached from outside.

Knows address scopes. It cannot see cloud firewalls, and does not pretend to.
"""

import ipaddress
from collections.abc import Iterable, Iterator

from natobs.exposition.listen import Address
from natobs.kernel.machine import Machine


def public_listeners(machine: Machine, addresses: Iterable[Address]) -> Iterator[tuple[Address, str]]:
    """The addresses that are not for this machine alone, with the reason in words."""
    for address in addresses:
        ip = ipaddress.ip_address(address.host.partition("%")[0])
        if ip.is_unspecified:
            yield address, "it means every interface, the public one included"
        elif ip.is_global:
            yield address, "it is a public address"
