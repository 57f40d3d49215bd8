"""The probes of one file behind an HTTP server: what a scrape has of them, the page, and ``/probe``.

What the prober and an agent that probes have in common. Knows when probing
starts and ends; refuses to know what else the server serves.
"""

import logging
import resource
from collections.abc import Iterator

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample
from natobs.exposition.adhoc import AdHoc
from natobs.exposition.limits import ADHOC_AT_ONCE
from natobs.exposition.messages import Request, Response
from natobs.exposition.probe_page import ProbePage, section
from natobs.probe_config import ProbeFile
from natobs.probes.registry import Kinds
from natobs.probes.service import MakeKinds, ProbeService

logger = logging.getLogger(__name__)


class Probing:
    """Probes what a file says, between :meth:`start` and :meth:`stop`.

    Args:
        file: targets and limits.
        make_kinds: makes the kinds of an engine; tests bring their own.
        adhoc_at_once: attempts of ``/probe`` under way at the same time.

    Raises:
        ConfigError: the file is wrong.
        SetupError: a kind of probe needs a library that is not installed.
    """

    def __init__(self, file: ProbeFile, make_kinds: MakeKinds = Kinds, adhoc_at_once: int = ADHOC_AT_ONCE) -> None:
        self.service = ProbeService(file, make_kinds)
        self._adhoc = AdHoc(self.service, make_kinds, adhoc_at_once)
        self._ended = False

    def start(self) -> None:
        """Begin to probe."""
        _raise_descriptor_limit()
        self.service.start()

    def stop(self) -> None:
        """End; attempts in flight are abandoned."""
        self.service.stop()
        self._adhoc.close()
        self._ended = True

    def samples(self) -> list[AnySample]:
        """Everything that is known now; a fault here costs a scrape these samples, and no others."""
        try:
            samples = self.service.samples()
        except Exception:
            logger.exception("the samples of the probes are missing")
            return [metric.ENGINE_UP.sample(0)]
        # An end that was asked for is none that alerts should be told of, as by the last push.
        return [sample for sample in samples if sample.metric is not metric.ENGINE_UP] if self._ended else samples

    def probe(self, request: Request) -> Response:
        """The handler of ``/probe``."""
        return self._adhoc(request)

    def page(self, request: Request, note: str = "", up: str = "") -> Response:
        """The handler of the page; see :class:`~natobs.exposition.probe_page.ProbePage`."""
        return ProbePage(self.service, note, up)(request)

    def section(self, note: str, link: str) -> Iterator[str]:
        """The part of an agent's page; see :func:`natobs.exposition.probe_page.section`."""
        return section(self.service, note, link)


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as an unprivileged process may have: each ``udp`` target keeps ``source_ports``."""
    try:
        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit != most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError) as error:  # a seccomp filter forbids it
        logger.warning("the limit of open descriptors could not be raised: %s", error)
