"""What an attempt has found so far, so that a failure too reports what went before it.

For the kinds that go through several steps (resolve, connect, TLS, request).
Knows outcomes; refuses to know how the steps are done.
"""

import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Progress:
    """The parts of an outcome, as they become known; fields as in :class:`natobs.probes.model.Outcome`.

    Args:
        doing: what is being done, for the sentence that says where the time limit struck.
    """

    doing: str = "resolving"
    rtt: float | None = None
    syn_retransmits: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    observed: tuple[str, int] | None = None
    certificate_expiry: float | None = None

    def spent(self, phase: str, seconds: float) -> None:
        """Add to a phase; there may be several of a kind, after a redirect."""
        self.phases[phase] = self.phases.get(phase, 0.0) + max(0.0, seconds)

    @contextlib.contextmanager
    def phase(self, name: str, doing: str) -> Generator[None, None, None]:
        """Time a phase by this process's clock, also when it fails."""
        self.doing = doing
        begun = time.monotonic()
        try:
            yield
        finally:
            self.spent(name, time.monotonic() - begun)

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


def concluded(progress: Progress, steps: Generator[Wait, None, None]) -> Steps:
    """Run the steps of an attempt to its outcome; they end with success unless they raise."""
    try:
        yield from steps
    except FailedError as error:
        return progress.outcome(error.reason, error.detail, error.icmp)
    except ResolveError as error:
        return progress.outcome(Reason.DNS, str(error))
    except ExpiredError:
        return progress.outcome(Reason.TIMEOUT, f"the time limit struck while {progress.doing}")
    except OSError as error:
        told = outcome_of(error)
        return progress.outcome(told.reason, f"while {progress.doing}: {told.detail}")
    resent = progress.syn_retransmits
    return progress.outcome(detail=f"the SYN had to be sent {resent + 1} times" if resent else "")
