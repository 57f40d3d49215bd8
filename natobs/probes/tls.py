"""The kind ``tls``: connection, handshake, and the certificate: good for the name, and for how long.

The phase ``tls`` runs from our first message to the kernel's stamp on the last
one that the handshake needed, so it holds the server's computing but not ours
after that. Nothing is sent inside the connection.
"""

import contextlib
from collections.abc import Generator

from natobs.probes.environment import Environment
from natobs.probes.farewell import Farewell
from natobs.probes.model import Prober, Target, Wait
from natobs.probes.progress import Progress
from natobs.probes.stream import Stream
from natobs.probes.stream_prober import StreamProber
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


class _TlsProber(StreamProber):
    def __init__(self, target: Target, environment: Environment, contexts: Contexts, farewell: Farewell) -> None:
        super().__init__(target, environment, farewell)
        self._context = contexts.get(target.settings)
        self._name = server_name(target, self._context)

    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        opened = yield from self._connect(progress, self._target.host, self._target.port)
        with contextlib.closing(Stream(opened)) as stream:
            yield from handshake(stream, self._context, self._name, self._settings, progress)
            self._farewell.leave(stream.detach(), self)
