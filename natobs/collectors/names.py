"""Names of services for the addresses that flows go to, from the configuration. Pure.

The longest prefix that holds an address gives its name; an address without a
name is its own. Found names are remembered, up to a bound.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network

_REMEMBERED = 65_536


class ServiceNames:
    """Addresses to names.

    Args:
        names: prefix or address to name.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        networks = [(ip_network(prefix), name) for prefix, name in names.items()]
        self._networks = sorted(networks, key=lambda entry: -entry[0].prefixlen)
        self.of = lru_cache(_REMEMBERED)(self._find) if networks else str

    def _find(self, text: str) -> str:
        address = ip_address(text)
        return next((name for network, name in self._networks if address in network), text)
