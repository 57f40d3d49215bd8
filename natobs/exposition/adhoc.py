"""``/probe?target=...&module=...``: one attempt for whoever asks, in blackbox_exporter's manner.

The module is the name of a probe of the file, whose settings are used. Nothing
of it enters the counters of ``/metrics``. Knows requests and outcomes; how a
probe works is known below.
"""

import threading
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import parse_qs

from msgspec.structs import replace

from natobs.errors import ConfigError, SetupError
from natobs.exposition.encode import escape_label
from natobs.exposition.limits import ADHOC_AT_ONCE
from natobs.exposition.messages import Request, Response, plain
from natobs.probe_config import ProbeSettings
from natobs.probes import once
from natobs.probes.model import Attempt, Target
from natobs.probes.registry import KindByName
from natobs.probes.resolve import Resolver
from natobs.probes.service import MakeKinds, ProbeService, target_of
from natobs.probes.targeting import aim

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SHORTEST_SECONDS = 0.01


class AdHoc:
    """The handler of ``/probe``.

    Args:
        service: knows the probe file in force.
        make_kinds: makes the kinds of an engine.
        most_at_once: attempts under way at the same time; each holds a worker of the server.
    """

    longest_seconds = 60.0
    """The longest time limit that a probe can have."""

    def __init__(self, service: ProbeService, make_kinds: MakeKinds, most_at_once: int = ADHOC_AT_ONCE) -> None:
        self._service = service
        self._make_kinds = make_kinds
        self._most_at_once = most_at_once
        self._places = threading.BoundedSemaphore(most_at_once)
        # One for all: its few threads are all that can stay behind while a name server hangs.
        self._resolver = Resolver(0)

    def __call__(self, request: Request) -> Response:
        """Attempt once and answer with what came of it; 400 and 403 for what cannot or may not be probed."""
        asked = parse_qs(request.query)
        text, module = (asked.get(name, [""])[-1] for name in ("target", "module"))
        settings = next((probe for probe in self._service.file.probe if probe.name == module), None)
        if not text or settings is None:
            names = ", ".join(probe.name for probe in self._service.file.probe)
            return plain(HTTPStatus.BAD_REQUEST, f"ask for /probe?target=HOST:PORT&module=NAME; there are {names}")
        if self._service.file.prober.adhoc_targets == "listed" and not self._service.lists(settings, text):
            return plain(
                HTTPStatus.FORBIDDEN, 'only targets that the probe lists, unless prober.adhoc_targets = "any" is set'
            )
        kinds = self._make_kinds()
        try:
            target = _target(settings, text, request.deadline, kinds)
        except (ConfigError, SetupError) as error:
            return plain(HTTPStatus.BAD_REQUEST, str(error))
        if not self._places.acquire(blocking=False):
            return plain(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._most_at_once} probes are under way", ("Retry-After", "1")
            )
        try:
            attempts: list[Attempt] = []
            once.run([target], kinds, attempts.append, resolver=self._resolver)
        except (ConfigError, SetupError) as error:
            return plain(HTTPStatus.BAD_REQUEST, str(error))
        finally:
            self._places.release()
        return Response(HTTPStatus.OK.value, "".join(_lines(attempts[0])).encode(), _TYPE)

    def close(self) -> None:
        """Let go of the threads that resolve names; what asks later waits in vain."""
        self._resolver.close()


def _target(settings: ProbeSettings, text: str, limit: float, kinds: KindByName) -> Target:
    seconds = max(_SHORTEST_SECONDS, min(settings.timeout_seconds, limit))
    aimed, place = aim(replace(settings, timeout_seconds=seconds, retries=0), text)
    return target_of(aimed, place, kinds)


def _lines(attempt: Attempt) -> Iterator[str]:
    outcome = attempt.outcome
    yield from _gauge("probe_success", "Whether the attempt succeeded", {"": float(outcome.success)})
    yield from _gauge("probe_duration_seconds", "How long the attempt took", {"": attempt.seconds})
    if outcome.phases:
        phases = {f'{{phase="{escape_label(name)}"}}': seconds for name, seconds in outcome.phases.items()}
        yield from _gauge("probe_phase_duration_seconds", "How long each phase of the attempt took", phases)
    if outcome.rtt is not None and outcome.clock is not None:
        clock = f'{{clock="{outcome.clock.value}"}}'
        yield from _gauge("probe_rtt_seconds", "Round-trip time, and whose clock measured it", {clock: outcome.rtt})
    if outcome.reason is not None:
        reason = f'{{reason="{outcome.reason.value}"}}'
        yield from _gauge("probe_failure_info", f"Why it failed: {_one_line(outcome.detail)}", {reason: 1.0})
    if outcome.observed is not None:
        address = f'{{address="{escape_label(outcome.observed[0])}"}}'
        yield from _gauge("probe_observed_address_info", "The public address that the other side saw", {address: 1.0})
    if outcome.path_mtu is not None:
        help_text = "Largest IP packet that passes unfragmented"
        yield from _gauge("probe_path_mtu_bytes", help_text, {"": float(outcome.path_mtu)})
    if outcome.certificate_expiry is not None:
        help_text = "When the server's certificate ends, in seconds since the epoch"
        yield from _gauge("probe_ssl_earliest_cert_expiry", help_text, {"": outcome.certificate_expiry})
    if outcome.syn_retransmits:
        help_text = "SYNs that were sent again"
        yield from _gauge("probe_tcp_syn_retransmits", help_text, {"": float(outcome.syn_retransmits)})


def _gauge(name: str, help_text: str, values: dict[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}\n# TYPE {name} gauge\n"
    for labels, value in values.items():
        yield f"{name}{labels} {value!r}\n"


def _one_line(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().replace("\\", "/").split())
