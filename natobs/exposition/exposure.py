"""Tells whether an address that the agent listens on can be reached from outside.

Knows address scopes and the device of the default route. It cannot see cloud
firewalls, and does not pretend to.
"""

import ipaddress
import socket
from collections.abc import Iterable, Iterator

from natobs.errors import KernelError
from natobs.exposition.listen import Address
from natobs.kernel import address as kernel_address
from natobs.kernel import device, roles, route
from natobs.kernel.machine import Machine

_NO_PREFIXES = kernel_address.Prefixes(())


def public_listeners(machine: Machine, addresses: Iterable[Address]) -> Iterator[tuple[Address, str]]:
    """The addresses that are not for this machine or its private side alone, each with the reason in words."""
    for address in addresses:
        ip = ipaddress.ip_address(address.host.partition("%")[0])
        if ip.is_unspecified:
            yield address, "it means every interface, the public one included"
        elif ip.is_loopback:
            continue
        elif ip.is_global:
            yield address, "it is a public address"
        elif name := _outside(machine, ip.packed):
            # Behind a 1:1 cloud NAT the public interface has a private address.
            yield address, f"it belongs to {name}, the interface of the default route"


def _outside(machine: Machine, packed: bytes) -> str:
    """The name of the device that has an address, if a default route leads out of it; else empty."""
    try:
        tables = [route.read(machine, family, _NO_PREFIXES) for family in (socket.AF_INET, socket.AF_INET6)]
        outside = roles.outside_of(tables)
        holders = {found.device for found in kernel_address.read(machine) if found.address == packed}
        return next((device.read(machine)[index].name for index in holders & outside), "")
    except KernelError:
        return ""  # a warning that cannot be founded is not given
