"""The page of error budgets as a service: its server from start to stop, and who is let in."""

from collections.abc import Callable, Sequence

from natobs.exposition.listen import Address
from natobs.exposition.messages import Handler
from natobs.exposition.reload import Reloading
from natobs.exposition.routes import Routes, healthy
from natobs.exposition.server import Server
from natobs.exposition.webschema import WebConfig


class BudgetServer:
    """Serves a page until it is stopped.

    Args:
        page: the handler of ``/``.
        addresses: to listen on.
        web_config: reads who is let in; plain HTTP for all when absent.

    Raises:
        WebConfigError: a certificate cannot be loaded.
    """

    def __init__(
        self, page: Handler, addresses: Sequence[Address], web_config: Callable[[], WebConfig] | None = None
    ) -> None:
        self._web_config = web_config
        self._server = Server(addresses, Routes({"/": page, "/healthz": healthy}), web_config() if web_config else None)
        self._reloading = Reloading(self._read_again)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What was bound; empty before :meth:`start`."""
        return self._server.addresses

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a browser finds it; empty before :meth:`start`."""
        return self._server.urls

    @property
    def listening(self) -> tuple[str, ...]:
        """What it listens on, for a person; empty before :meth:`start`."""
        return tuple(f"listening on {address}" for address in self.addresses)

    @property
    def summary(self) -> str:
        """It probes nothing."""
        return ""

    def start(self) -> None:
        """Listen, and answer.

        Raises:
            ExpositionError: an address cannot be bound.
        """
        self._server.start()

    def stop(self) -> None:
        """End."""
        self._server.stop()

    def reload(self) -> bool:
        """Read TLS and users again; False where there are none.

        Raises:
            WebConfigError: they are wrong; nothing has changed.
        """
        if self._web_config is None:
            return False
        self._reloading()
        return True

    def check(self) -> None:
        """It lives as long as its process."""

    def _read_again(self) -> None:
        assert self._web_config is not None
        self._server.use(self._server.policy(self._web_config()))
