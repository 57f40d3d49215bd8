"""Metrics of routes, addresses and links: whether the NAT itself can reach anything, and what changed."""

from natobs.catalogue.types import Kind, Label, Metric, Start

_EVENTS = "rtnetlink events, completed by dumps where Linux tells of nothing"
_DEVICE = Label(
    "device",
    "name of the interface",
    bound="the first 64 interfaces that have, or had, an address beyond the link; the rest is `other`",
)

DEFAULT_ROUTE_PRESENT = Metric(
    "natobs_default_route_present",
    Kind.GAUGE,
    "Whether the main table has a default route that is neither dead nor without a carrier; "
    "absent for a family that has had neither a routable address nor a default route since the agent started",
    "rtnetlink RTM_GETROUTE and RTM_GETADDR",
    labels=(Label("family", "address family", domain=("ipv4", "ipv6")),),
)
ROUTE_CHANGES = Metric(
    "natobs_route_changes_total",
    Kind.COUNTER,
    "Routes that came, went or were replaced since the agent started, in any table but the local one; "
    "of the IPv4 routes that Linux flushes silently with a link or an address, only default routes are counted",
    _EVENTS,
    labels=(
        Label(
            "kind",
            "what happened; default_* are unicast default routes of the main table, the others all other routes",
            domain=("default_added", "default_removed", "default_changed", "added", "removed", "changed"),
        ),
    ),
    start=Start.PROCESS,
)
ADDRESS_CHANGES = Metric(
    "natobs_address_changes_total",
    Kind.COUNTER,
    "Addresses of global or site scope that came or went since the agent started; renewals are no change",
    _EVENTS,
    labels=(_DEVICE,),
    start=Start.PROCESS,
)
LINK_CHANGES = Metric(
    "natobs_link_changes_total",
    Kind.COUNTER,
    "Times since the agent started that an interface became usable (on, with carrier) or ceased to be: two for a flap",
    _EVENTS,
    labels=(_DEVICE,),
    start=Start.PROCESS,
)
EVENTS_LOST = Metric(
    "natobs_route_events_lost_total",
    Kind.COUNTER,
    "Times that rtnetlink events were lost or not understood; what they changed is then found by comparison, "
    "except for what changed and changed back",
    "ENOBUFS on the rtnetlink socket",
    start=Start.PROCESS,
)
DEVICE_ROLE = Metric(
    "natobs_device_role_info",
    Kind.INFO,
    "Which side of the NAT an interface is on, told by the default route and by the prefixes of nat.inside, "
    "never by its name; with nat.inside set to the prefixes of the private hosts it is exact, without it a guess",
    "rtnetlink RTM_GETROUTE and RTM_GETADDR",
    labels=(
        Label("device", "name of the interface", bound="the first 64 interfaces that have a role"),
        Label("role", "both where one interface serves both sides", domain=("outside", "inside", "both")),
    ),
)
