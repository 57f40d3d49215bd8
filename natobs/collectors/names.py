"""Names of services for the addresses that flows go to, from the configuration. Pure.

The longest prefix that holds an address gives its name; an address without a
name is its own. What it costs to look one up grows with the lengths of prefixes
that there are, not with their number. Found names are remembered, up to a bound.
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
        self._names: dict[int, dict[int, dict[int, str]]] = {4: {}, 6: {}}
        """IP version, then how many bits prefixes leave open, the fewest first, then the bits that one fixes."""
        for network, name in sorted(networks, key=lambda entry: -entry[0].prefixlen):
            still_open = network.max_prefixlen - network.prefixlen
            fixed = int(network.network_address) >> still_open
            self._names[network.version].setdefault(still_open, {})[fixed] = name
        self.of = lru_cache(_REMEMBERED)(self._find) if networks else str

    def _find(self, text: str) -> str:
        address = ip_address(text)
        number = int(address)
        found = (fixed.get(number >> still_open) for still_open, fixed in self._names[address.version].items())
        return next((name for name in found if name is not None), text)
