"""The kind ``tls``: connection, handshake, and the certificate: good for the name, and for how long.

The phase ``tls`` runs from our first message to the kernel's stamp on the last
one that the handshake needed, so it holds the server's computing but not ours
after that. Nothing is sent inside the connection.
"""

import contextlib
from collections.abc import Generator

from natobs.probes.connect import connect
from natobs.probes.environment import Environment
from natobs.probes.farewell import Farewell
from natobs.probes.model import Prober, Steps, Target, Wait
from natobs.probes.progress import Progress, concluded
from natobs.probes.stream import Stream
from natobs.probes.trust import Contexts, handshake, server_name


class TlsKind:
    """Shakes hands and looks at the certificate."""

    name = "tls"
    default_port = 443

    def __init__(self) -> None:
        self._contexts = Contexts()
        self._farewell = Farewell()

    def open(self, target: Target, environment: Environment) -> Prober:
        return _TlsProber(target, environment, self._contexts, self._farewell)


class _TlsProber:
    def __init__(self, target: Target, environment: Environment, contexts: Contexts, farewell: Farewell) -> None:
        self._target = target
        self._resolver = environment.resolver
        self._farewell = farewell
        self._context = contexts.get(target.settings)
        self._name = server_name(target, self._context)

    def attempt(self, number: int) -> Steps:
        progress = Progress()
        return concluded(progress, self._steps(progress))

    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        target = self._target
        with progress.phase("resolve", "resolving"):
            addresses = yield from self._resolver.resolve(target.host, target.port, target.settings.family)
        opened = yield from connect(target.settings, addresses[0], progress)
        with contextlib.closing(Stream(opened)) as stream:
            yield from handshake(stream, self._context, self._name, target.settings, progress)
            self._farewell.leave(stream.detach())

    def close(self) -> None:
        self._farewell.close()
