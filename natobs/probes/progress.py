"""What an attempt has found so far, so that a failure too reports what went before it.

For the kinds that go through several steps (resolve, connect, TLS, request).
Knows outcomes; refuses to know how the steps are done.
"""

import math
import time
from collections.abc import Generator

import msgspec

from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import Clock, ExpiredError, IcmpError, Outcome, Reason, Steps, Wait
from natobs.probes.resolve import ResolveError


class FailedError(Exception):
    """An attempt that has failed, with what goes into its outcome."""

    def __init__(self, reason: Reason, detail: str, icmp: IcmpError | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.icmp = icmp


class Progress(msgspec.Struct, eq=False):
    """The parts of an outcome, as they become known; fields as in :class:`natobs.probes.model.Outcome`.

    Args:
        doing: what is being done, for the sentence that says where the time limit struck.
        number: of the attempt.
        deadline: when its time limit strikes, in seconds of the monotonic clock.
        arrived: when the latest packet came that the attempt stands on, by the kernel and on the same clock.
    """

    doing: str = "resolving"
    number: int = 0
    deadline: float = math.inf
    arrived: float = -math.inf
    rtt: float | None = None
    syn_retransmits: int = 0
    phases: dict[str, float] = msgspec.field(default_factory=dict)
    observed: tuple[str, int] | None = None
    certificate_expiry: float | None = None

    @property
    def late(self) -> float:
        """Seconds by which the answer came after the time limit; 0 or below for one that came in time.

        The engine ends an attempt at its limit, but an engine that was held up reads late what may have come in time.
        """
        return self.arrived - self.deadline

    def spent(self, phase: str, seconds: float) -> None:
        """Add to a phase; there may be several of a kind, after a redirect."""
        self.phases[phase] = self.phases.get(phase, 0.0) + max(0.0, seconds)

    def phase(self, name: str, doing: str) -> "_Phase":
        """Time a phase by this process's clock, also when it fails."""
        self.doing = doing
        return _Phase(self, name)

    def outcome(self, reason: Reason | None = None, detail: str = "", icmp: IcmpError | None = None) -> Outcome:
        """The outcome with all that is known."""
        return Outcome(
            reason,
            detail,
            rtt=self.rtt,
            clock=None if self.rtt is None else Clock.TCP_INFO,
            phases=self.phases,
            observed=self.observed,
            syn_retransmits=self.syn_retransmits,
            icmp=icmp,
            certificate_expiry=self.certificate_expiry,
        )


class _Phase:
    """Times what is done in it; a class, since that takes a third of what a generator's context takes."""

    __slots__ = ("_begun", "_name", "_progress")

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *_error: object) -> None:
        self._progress.spent(self._name, time.monotonic() - self._begun)


def concluded(progress: Progress, steps: Generator[Wait, None, None]) -> Steps:
    """Run the steps of an attempt to its outcome; they end with success unless they raise, or the answer came late."""
    try:
        yield from steps
        resent = progress.syn_retransmits
        outcome = progress.outcome(detail=f"the SYN had to be sent {resent + 1} times" if resent else "")
    except FailedError as error:
        outcome = progress.outcome(error.reason, error.detail, error.icmp)
    except ResolveError as error:
        outcome = progress.outcome(Reason.DNS, str(error))
    except ExpiredError:
        return progress.outcome(Reason.TIMEOUT, f"the time limit struck while {progress.doing}")
    except OSError as error:
        told = outcome_of(error)
        outcome = progress.outcome(told.reason, f"while {progress.doing}: {told.detail}")
    if progress.late > 0:
        return progress.outcome(Reason.LATE, f"the answer came {progress.late:.3f} s after the time limit")
    return outcome
