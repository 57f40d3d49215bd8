"""Every kind of probe there is. The only module that knows them all.

A kind is imported when it is first used: only ``dns`` and ``http`` need libraries of their own.
"""

from collections.abc import Callable
from importlib import import_module

from natobs.errors import SetupError
from natobs.probe_config import KindName
from natobs.probes.environment import Kind

ALL: dict[KindName, str] = {
    "icmp": "IcmpKind",
    "udp": "UdpKind",
    "stun": "StunKind",
    "tcp": "TcpKind",
    "tls": "TlsKind",
    "http": "HttpKind",
    "dns": "DnsKind",
    "pmtu": "PmtuKind",
}
"""Name of each kind, which is that of its module, to its class."""


KindByName = Callable[[KindName], Kind]


class Kinds:
    """The kinds that one engine uses, made when they are first asked for.

    Probers of one kind share its instance and are run by one thread: engines do not share kinds.
    """

    def __init__(self) -> None:
        self._made: dict[KindName, Kind] = {}

    def __call__(self, name: KindName) -> Kind:
        """The kind of that name.

        Raises:
            SetupError: it needs a library that is not installed.
        """
        if name not in self._made:
            self._made[name] = _make(name)
        return self._made[name]


def _make(name: KindName) -> Kind:
    try:
        module = import_module(f"natobs.probes.{name}")
    except ModuleNotFoundError as error:
        raise SetupError(
            f"probes of the kind {name} need the Python package {error.name}; pip install 'natobs[probes]' brings it"
        ) from error
    made: Kind = getattr(module, ALL[name])()
    return made
