"""The kind ``tcp``: does a connection come to stand, and how long from SYN to SYN/ACK.

The first attempt is one SYN: a success with ``syn_retransmits`` above 0 is a
success for the user who waited, and none for the SLI of first attempts. Nothing
is sent or read; the connection is ended with FIN (see :mod:`natobs.probes.farewell`).
"""

from collections.abc import Generator

from natobs.errors import ConfigError
from natobs.probes.environment import Environment
from natobs.probes.farewell import Farewell
from natobs.probes.model import Prober, Target, Wait
from natobs.probes.progress import Progress
from natobs.probes.stream_prober import StreamProber


class TcpKind:
    """Connects and says goodbye."""

    name = "tcp"
    default_port = 0  # there is none; a target has to name it

    def __init__(self) -> None:
        self._farewell = Farewell()

    def open(self, target: Target, environment: Environment) -> Prober:
        if not target.port:
            raise ConfigError(f"probe {target.settings.name}: target {target.name} needs a port, as HOST:PORT")
        return _TcpProber(target, environment, self._farewell)


class _TcpProber(StreamProber):
    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        opened = yield from self._connect(progress, self._target.host, self._target.port)
        self._farewell.leave(opened, self)
