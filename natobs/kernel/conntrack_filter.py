"""Classic BPF that tells, for one kind of death each, whether a destroy event of conntrack reports it.

Knows what an event says about why its entry died, and which kinds are counted;
refuses to know who counts. Attributes are looked up by their type, so neither
their order nor what else is in an event matters.

What an event says (net/netfilter/nf_conntrack_netlink.c, ctnetlink_conntrack_event):

* ``nlmsg_pid`` is the port of the process that had the entry removed through
  ctnetlink (``conntrack -F``, ``conntrack -D``, conntrackd; nf_ct_delete passes
  it on), and 0 when the kernel removed it by itself;
* ``CTA_TIMEOUT`` is there when the entry had a second or more left to live: it
  did not expire, it was removed (since Linux 5.11, "add timeout and protoinfo
  to destroy events");
* ``CTA_PROTOINFO`` has the last TCP state (also since 5.11). A connection that
  was closed or reset died in another state than ESTABLISHED;
* ``CTA_STATUS`` has IPS_ASSURED once traffic went both ways.
"""

from enum import Enum

from natobs.kernel.bpf import (
    A_TO_X,
    ANY_BIT,
    BYTE_AT_X,
    EQUAL,
    NLATTR,
    NLATTR_NEST,
    NUMBER,
    NUMBER_TO_X,
    RETURN,
    WORD,
    WORD_AT_X,
    Step,
    assemble,
)

TCP, UDP = 6, 17
TCP_ESTABLISHED = 3
"""TCP_CONNTRACK_ESTABLISHED, include/uapi/linux/netfilter/nf_conntrack_tcp.h."""
IPS_ASSURED = 0x4

PORT = 12
"""Where nlmsg_pid is in a netlink header."""
ATTRIBUTES = 20
"""Where the attributes begin: behind the headers of netlink and of nfnetlink."""
CTA_TUPLE_ORIG, CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT = 1, 3, 4, 7
CTA_TUPLE_PROTO, CTA_PROTO_NUM = 2, 1
CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE = 1, 1

_ATTRIBUTE_HEADER = 4
_WHOLE = 0xFFFF
_DROP, _PASS = "drop", "pass"


class Death(Enum):
    """A kind of death that is counted; each has a program of its own in :data:`PROGRAMS`."""

    IDLE_TCP = "an established TCP connection that expired"
    IDLE_UDP = "a UDP flow with traffic both ways that expired"
    LOST_BY_REQUEST = "an established flow that a process had removed"
    LOST_BY_KERNEL = "an established flow that the kernel removed before its time"
    ANY_TCP = "a TCP connection"
    ANY_UDP = "a UDP flow"
    ANY_OTHER = "a flow of another protocol"


def _find(*kinds: int) -> tuple[Step, ...]:
    """Load the place of an attribute into A, by the types that lead to it; refuse an event that has none."""
    first, *nested = kinds
    steps = [Step(NUMBER, ATTRIBUTES), Step(NUMBER_TO_X, first), Step(WORD, NLATTR), Step(EQUAL, 0, yes=_DROP)]
    for kind in nested:
        steps += [Step(NUMBER_TO_X, kind), Step(WORD, NLATTR_NEST), Step(EQUAL, 0, yes=_DROP)]
    return tuple(steps)


_PROTOCOL = (
    *_find(CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM),
    Step(A_TO_X, 0),
    Step(BYTE_AT_X, _ATTRIBUTE_HEADER),
)
_REQUESTED = (Step(WORD, PORT), Step(EQUAL, 0, yes=_DROP))
_BY_ITSELF = (Step(WORD, PORT), Step(EQUAL, 0, no=_DROP))
_ASSURED = (
    *_find(CTA_STATUS),
    Step(A_TO_X, 0),
    Step(WORD_AT_X, _ATTRIBUTE_HEADER),
    Step(ANY_BIT, IPS_ASSURED, no=_DROP),
)
_EXPIRED = (
    Step(NUMBER, ATTRIBUTES),
    Step(NUMBER_TO_X, CTA_TIMEOUT),
    Step(WORD, NLATTR),
    Step(EQUAL, 0, no=_DROP),
)
_BEFORE_ITS_TIME = _find(CTA_TIMEOUT)
_ESTABLISHED = (
    *_find(CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE),
    Step(A_TO_X, 0),
    Step(BYTE_AT_X, _ATTRIBUTE_HEADER),
    Step(EQUAL, TCP_ESTABLISHED, yes=_PASS, no=_DROP),
)
_IF_TCP_ESTABLISHED = (*_PROTOCOL, Step(EQUAL, TCP, no=_PASS), *_ESTABLISHED)

_STEPS = {
    Death.IDLE_TCP: (*_BY_ITSELF, *_ASSURED, *_EXPIRED, *_PROTOCOL, Step(EQUAL, TCP, no=_DROP), *_ESTABLISHED),
    Death.IDLE_UDP: (*_BY_ITSELF, *_ASSURED, *_EXPIRED, *_PROTOCOL, Step(EQUAL, UDP, yes=_PASS, no=_DROP)),
    Death.LOST_BY_REQUEST: (*_REQUESTED, *_ASSURED, *_IF_TCP_ESTABLISHED),
    Death.LOST_BY_KERNEL: (*_BY_ITSELF, *_BEFORE_ITS_TIME, *_ASSURED, *_IF_TCP_ESTABLISHED),
    Death.ANY_TCP: (*_PROTOCOL, Step(EQUAL, TCP, yes=_PASS, no=_DROP)),
    Death.ANY_UDP: (*_PROTOCOL, Step(EQUAL, UDP, yes=_PASS, no=_DROP)),
    Death.ANY_OTHER: (*_PROTOCOL, Step(EQUAL, TCP, yes=_DROP), Step(EQUAL, UDP, yes=_DROP, no=_PASS)),
}

PROGRAMS = {
    death: assemble((*steps, Step(RETURN, _WHOLE, label=_PASS), Step(RETURN, 0, label=_DROP)))
    for death, steps in _STEPS.items()
}
"""The filter of each kind of death; it passes an event whole, or not at all."""
