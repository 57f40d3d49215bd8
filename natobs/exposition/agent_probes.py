"""The probes that run in the agent's process: none, those of a file, or the self-check.

A reload may go from any of these to any other. Knows what the agent's
configuration asks for, and how that is told. What probes are is loaded only
where there are some: an agent without them starts as light as it can.
"""

import logging
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from natobs.catalogue.types import AnySample
from natobs.config import Config
from natobs.exposition.limits import ADHOC_AT_ONCE, Limits
from natobs.exposition.listen import Address
from natobs.exposition.messages import Request, Response, plain
from natobs.probes.tracing import Tracing

if TYPE_CHECKING:
    from natobs.exposition.probing import Probing
    from natobs.probe_config import ProbeFile

logger = logging.getLogger(__name__)

_FEW = 2
"""Attempts of ``/probe`` at once where an agent began without probes, and so without workers for them."""
_OWN = "your own: natobs up --probes probes/default.toml"
_SELF_CHECK = (
    "A self-check: these probes go to this host alone, and show that probing works and no more. To have "
    "your own: natobs up --probes probes/default.toml, or file under [probes] of the configuration."
)
_NONE = plain(
    HTTPStatus.NOT_FOUND, "this agent probes nothing; --probes FILE, or file under [probes], would name probes"
)
"""The answer to those who ask for probes where there are none."""


class Given(NamedTuple):
    """What to probe.

    Args:
        file: the probes.
        origin: the path that they were read from; empty for the self-check.
    """

    file: "ProbeFile"
    origin: str


def read(config: Config, listeners: Sequence[Address]) -> Given | None:
    """What a configuration asks for.

    Args:
        config: of the agent.
        listeners: what it listens on, as bound; empty before.

    Raises:
        ConfigError: the probe file cannot be read, or is wrong.
    """
    if config.probes.file:
        from natobs.probe_config import load  # noqa: PLC0415 - an agent without probes does without

        given = Given(load(Path(config.probes.file)), config.probes.file)
        _tell_unused(given)
        return given
    if config.probes.self_check:
        from natobs.exposition.selfcheck import self_check  # noqa: PLC0415 - likewise

        return Given(self_check(listeners), "")
    return None


class AgentProbes:
    """Probes what is given, between :meth:`start` and :meth:`stop`.

    Args:
        given: of :func:`read`.

    Raises:
        ConfigError: a target is wrong, there is none, or there are more than ``prober.max_rate`` allows.
        SetupError: a kind of probe needs a library that is not installed.
    """

    def __init__(self, given: Given | None) -> None:
        self._adhoc = _FEW if given is None else ADHOC_AT_ONCE
        self._tracing: Tracing | None = None
        self._started = False
        self._begun = False
        self._given = given
        self.probing = None if given is None else self._open(given)
        """The probes at work; None where there are none."""

    @property
    def workers(self) -> int:
        """Threads that a server needs so that no crowd at ``/probe`` keeps a scrape waiting."""
        return Limits().workers + (ADHOC_AT_ONCE if self._adhoc == ADHOC_AT_ONCE else 0)

    @property
    def working(self) -> bool:
        """Whether there is nothing to probe, or it is being probed."""
        probing = self.probing
        return probing is None or probing.service.running

    @property
    def summary(self) -> str:
        """What is probed, in a few words; empty where nothing is."""
        probing, given = self.probing, self._given
        if probing is None or given is None:
            return ""
        count = len(probing.service.targets)
        targets = f"{count} target{'s' if count != 1 else ''}"
        if not given.origin:
            return f"{targets} on this host alone, which shows only that probing works; {_OWN}"
        return f"{targets} of {given.origin}"

    @property
    def note(self) -> str:
        """What a person who sees the probes has to know first."""
        given = self._given
        if given is None:
            return ""
        return f"Probed from this machine, as {given.origin} says." if given.origin else _SELF_CHECK

    @property
    def self_check(self) -> bool:
        """Whether it is nothing but the self-check."""
        given = self._given
        return given is not None and not given.origin

    def trace(self, tracing: Tracing | None) -> None:
        """What each attempt has to pass before it is counted."""
        self._tracing = tracing
        if self.probing is not None:
            self.probing.service.tracing = tracing

    def start(self) -> None:
        """Begin to probe."""
        self._started = self._begun = True
        if self.probing is not None:
            self.probing.start()

    def stop(self) -> None:
        """End; attempts in flight are abandoned."""
        if self.probing is not None:
            self.probing.stop()
        self._started = False

    def use(self, given: Given | None) -> None:
        """Probe something else, or nothing, from now on; targets that stay keep their counters.

        Raises:
            ConfigError, SetupError: as when built; nothing has changed.
        """
        if given is None:
            probing, self.probing = self.probing, None
            if probing is not None:
                probing.stop()
        elif self.probing is not None:
            self.probing.service.reload(given.file)
        else:
            self.probing = self._open(given)
            if self._started:
                self.probing.start()
        self._given = given

    def samples(self) -> list[AnySample]:
        """What they have counted; nothing before :meth:`start`."""
        probing = self.probing
        return probing.samples() if probing is not None and self._begun else []

    def probe(self, request: Request) -> Response:
        """The handler of ``/probe``."""
        probing = self.probing
        return _NONE if probing is None else probing.probe(request)

    def page(self, request: Request) -> Response:
        """The handler of ``/probes``."""
        probing = self.probing
        return _NONE if probing is None else probing.page(request, self.note, "./")

    def section(self) -> Iterator[str]:
        """Their part of the agent's page, as HTML; a fault here costs the page this part, and no other."""
        probing = self.probing
        if probing is None:
            return
        try:
            yield "".join(probing.section(self.note, "probes"))
        except Exception:
            logger.exception("the section of the probes is missing")
            yield '<section><h2>Probes</h2><p class="unknown">cannot be shown; the log says why</p></section>'

    def _open(self, given: Given) -> "Probing":
        from natobs.exposition.probing import Probing  # noqa: PLC0415 - an agent without probes does without

        made = Probing(given.file, adhoc_at_once=self._adhoc)
        made.service.tracing = self._tracing
        return made


def _tell_unused(given: Given) -> None:
    """Say which keys of a probe file do nothing in an agent."""
    usual = type(given.file.prober)()
    for key in ("listen", "web_config_file"):
        if getattr(given.file.prober, key) != getattr(usual, key):
            logger.warning("%s: prober.%s is not used here; agent.%s is", given.origin, key, key)
    if given.file.otlp.endpoint:
        logger.warning("%s: [otlp] is not used here; that of the agent's configuration is", given.origin)
