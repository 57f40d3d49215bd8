"""Names of alerts that are symptoms of many causes: what users and their probers see of a NAT that fails.

An alert on one subnet cannot silence one on the whole NAT: what the NAT's other
subnets live through may have another cause. Hence the two lists of burn rates.
"""

BURNS_OF_SUBNET = ("NatOutboundSuccessBurn", "NatCriticalServiceBurn")
"""Budgets that are spent by the probes of one subnet."""

BURNS = (*BURNS_OF_SUBNET, "NatOutboundAnsweredBurn", "NatServiceBurn")
"""And by all that passes through the NAT."""

FAILURES = (
    "NatProbeFailing",
    "NatDnsFailing",
    "NatDestinationFailing",
    "NatPathMtuReduced",
    "NatPathMtuBlackHole",
    *BURNS,
)
"""What is seen from outside the NAT when flows through it fail."""

SYMPTOMS = ("NatForwardingBroken", "NatNoReturnTraffic", *FAILURES)
"""And what the taps of the NAT see of it, where another alert can name the cause."""
