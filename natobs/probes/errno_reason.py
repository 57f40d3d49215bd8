"""What an errno of a socket call means for a probe. Pure."""

import errno

from natobs.probes.model import IcmpError, Outcome, Reason

_REASONS = {
    errno.ENETUNREACH: Reason.NO_ROUTE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.NO_ROUTE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ECONNABORTED: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EMSGSIZE: Reason.MTU,
    errno.EADDRINUSE: Reason.NO_LOCAL_PORT,
    errno.EADDRNOTAVAIL: Reason.NO_LOCAL_PORT,
}


def outcome_of(error: OSError, icmp: IcmpError | None = None, peer: str = "") -> Outcome:
    """The outcome of an attempt that ended with an error of the kernel.

    Args:
        error: what a socket call raised.
        icmp: the ICMP message behind it, if the error queue held one. With one, whatever does not say that the
            destination refused, or that the packet was too big, is an answer from the way (unreachable: for example
            ENETUNREACH, and EACCES, ENOPROTOOPT and EPROTO of ICMPv6); without, ENETUNREACH is this host's own
            routing (no route).
        peer: the address that was asked, in numeric form: only its own ICMP error is a refusal; a firewall that says
            "port unreachable" in its place is on the way.
    """
    reason = _REASONS.get(error.errno or 0, Reason.LOCAL)
    if icmp is not None:
        refused = reason is Reason.REFUSED and icmp.sender == peer
        reason = reason if refused or reason is Reason.MTU else Reason.UNREACHABLE
    sender = f", said by {icmp.sender} (ICMP type {icmp.type} code {icmp.code})" if icmp else ""
    return Outcome(reason, f"{error.strerror or error}{sender}", icmp=icmp)
