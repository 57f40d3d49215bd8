"""The failure modes F1 to F9 of a NAT: how users see them, what shows them, and what tells them from their look-alikes.

Knows signals as metrics and alerts by name; both are checked when this module is
imported. Refuses to know commands: those are in the runbooks, which
:mod:`natobs.generate.runbooks` makes.
"""

from natobs.catalogue.failure import Apart, Fault
from natobs.catalogue.metrics import (
    accounting,
    conntrack,
    events,
    firewall,
    flows,
    host,
    kernel_log,
    network,
    nic,
    probes,
    protocols,
    routing,
    softnet,
    taps,
)

ALL: tuple[Fault, ...] = (
    Fault(
        "F1",
        "Translation table full",
        "New connections time out, for all hosts and towards all destinations; those that are open go on.",
        (
            conntrack.ENTRIES,
            conntrack.LIMIT,
            conntrack.NEW_FLOW_DROPS,
            conntrack.EARLY_DROP,
            kernel_log.EVENTS,
            flows.HOST_FLOWS,
            accounting.UNTRACKED,
        ),
        ("NatTableFull", "NatConntrackUsage", "NatConntrackFilling", "NatTableEvicting"),
        (
            Apart("F9", "There the table has room, and flows to one destination fail: the census shows 80 % or more."),
            Apart("F4", "There the table is not full, and packets find no route."),
            Apart("F5", "There open connections break, and new ones work."),
            Apart("NatChainsTooLong", "There entries are far below the limit; the hash table has too few buckets."),
        ),
        (
            "See how full the table is, and that the drops are for its room.",
            "Find the hosts and destinations that fill it.",
            "Decide: one guilty host, or the whole load.",
        ),
        (
            "One guilty host: put it into quarantine, and delete its flows.",
            "The whole load: raise the limit and the buckets, if memory allows.",
            "Lasting: shorter timeouts, another NAT, or a larger one; find out why flows are not closed.",
        ),
    ),
    Fault(
        "F2",
        "CPU saturated",
        "Everything is slow and some packets are lost, old connections included; it comes with the load.",
        (
            host.CPU_SECONDS,
            softnet.TIMES_SQUEEZED,
            softnet.DROPPED,
            softnet.BACKLOG,
            taps.RESIDENCE,
            network.PEAK_PACKETS,
        ),
        ("NatCpuUsage", "NatSoftirqSaturated", "NatSoftnetPressure", "NatCpuSteal", "NatAddedLatency"),
        (
            Apart("NatAllowanceExceeded", "There the CPUs are idle, and the cloud drops packets beyond an allowance."),
            Apart("F3", "There interfaces count errors or carrier changes, whatever the load."),
            Apart("F8", "There only large packets are slow; pings and handshakes are quick."),
        ),
        (
            "See which CPU is busy, and with what: softirq, steal, or a process.",
            "See whether packets come from one host, and whether one queue takes them all.",
            "Decide: unwanted load, bad spreading, or a machine that is too small.",
        ),
        (
            "Unwanted load: quarantine or limit the host.",
            "One busy CPU: spread receive queues over CPUs (RSS, else RPS).",
            "All busy: a larger instance or another NAT; steal: another host or a kind of instance without bursting.",
        ),
    ),
    Fault(
        "F3",
        "Interface errors or carrier flaps",
        "Packets are lost now and then for everybody, or nothing works for seconds at a time.",
        (
            network.UP,
            network.CARRIER_CHANGES,
            network.RECEIVE_ERRORS,
            network.TRANSMIT_ERRORS,
            network.RECEIVE_DROPS,
            network.RECEIVE_MISSED,
            nic.DRIVER_DROPS,
            network.QDISC_DROPS,
            kernel_log.EVENTS,
        ),
        ("NatLinkDown", "NatCarrierFlapping", "NatNicErrors", "NatPacketDrops"),
        (
            Apart("F2", "There drops come from softnet and the rings while a CPU is saturated; errors stay 0."),
            Apart("NatAllowanceExceeded", "There the cloud drops, and says so in a counter of its own."),
            Apart("F4", "There the link is up and clean, and the route is gone."),
        ),
        (
            "See which interface it is, and whether it has a carrier.",
            "See which counter rises: errors, missed, drops of a queue.",
            "Read what the driver told the kernel log.",
        ),
        (
            "Fail over to another NAT, if there is one.",
            "Virtual interface: detach and attach it, or replace the machine; metal: cable, transceiver, switch port.",
            "Missed packets: larger rings, more queues.",
        ),
    ),
    Fault(
        "F4",
        "Route missing or wrong",
        "A whole subnet, or everything behind the NAT, reaches nothing outside; attempts fail at once or time out.",
        (
            routing.DEFAULT_ROUTE_PRESENT,
            routing.ROUTE_CHANGES,
            taps.SEEN,
            probes.FAILURES,
            protocols.IP_FORWARD_NO_ROUTE,
            protocols.IP_FORWARDED,
        ),
        ("NatDefaultRouteMissing", "NatSubnetRouteMissing", "NatRouteChanged"),
        (
            Apart("F1", "There packets of open connections still pass, and drops have the reason `table_full`."),
            Apart("F6", "There attempts leave the NAT, or answers come back to it."),
            Apart("NatAgentDown", "There the NAT itself is silent: it may be down, and its routes do not matter."),
        ),
        (
            "See whether the NAT has a default route, and what changed when.",
            "See whether packets of the subnet reach the NAT at all.",
            "Decide: route on the NAT, or route table of the subnet.",
        ),
        (
            "On the NAT: put the route back, then mend what makes routes (DHCP client, network configuration).",
            "In the subnet: point its default route at the NAT's interface; roll the last change back.",
            "Forbid route changes without review; watch the route tables.",
        ),
    ),
    Fault(
        "F5",
        "State lost",
        "Connections that were open break or hang, all at the same moment; new ones work.",
        (
            host.BOOT_TIME,
            accounting.MIDSTREAM,
            events.LOST_FLOWS,
            accounting.RESETS,
            protocols.TCP_RESETS_SENT,
            conntrack.ENTRIES,
        ),
        ("NatStateLost", "NatRestarted", "NatResets"),
        (
            Apart("F7", "There new connections come from another address, which partners refuse."),
            Apart("F1", "There new connections fail, and old ones live."),
            Apart("F6", "There nothing works that needs an answer, old or new."),
            Apart("NatDestinationFailing", "There the resets come from one destination only."),
        ),
        (
            "See whether the machine restarted, or somebody flushed the table.",
            "See that new connections work.",
            "Do not restart again: that loses what has been built up since.",
        ),
        (
            "Nothing brings the state back: clients must connect again; restart pools that hang.",
            "Fail-over pairs: synchronise the table (conntrackd), and keep the address.",
            "Planned restarts: drain first, and declare maintenance.",
        ),
    ),
    Fault(
        "F6",
        "Return traffic blocked",
        "Connections time out although the destination is up: attempts leave, answers do not arrive.",
        (
            firewall.DENIES,
            taps.SEEN,
            accounting.ATTEMPTS,
            accounting.ANSWERED,
            firewall.RULE_PACKETS,
            firewall.UNCOUNTED_DENIES,
            protocols.IP_REVERSE_PATH_DROPS,
        ),
        ("NatReturnBlocked", "NatFirewallDenies", "NatNoReturnTraffic"),
        (
            Apart("F4", "There packets do not leave the NAT, or never reach it."),
            Apart("F7", "There the answers go to an address that the NAT has no more."),
            Apart("NatDestinationFailing", "There one destination is silent, and all others answer."),
            Apart("F8", "There handshakes succeed, and transfers hang."),
        ),
        (
            "See where answers stop: before the NAT, or on it.",
            "On the NAT: see which rule counts them.",
            "Before the NAT: look at the cloud's security groups and network ACLs, and at what changed there.",
        ),
        (
            "On the NAT: let established and related traffic through, before any drop.",
            "In the cloud: permit the answers; ACLs without state need the ports 1024 to 65535 inwards.",
            "Roll back the change of rules; log and count denies, so that the next one is seen.",
        ),
    ),
    Fault(
        "F7",
        "Public address changed",
        "Partners that permit only known addresses refuse or ignore connections; everything else works.",
        (
            probes.ADDRESS_EXPECTED,
            probes.OBSERVED_ADDRESS,
            probes.ADDRESS_CHANGES,
            routing.ADDRESS_CHANGES,
        ),
        ("NatPublicAddressUnexpected",),
        (
            Apart("F5", "There the address is the same, and open connections broke."),
            Apart("F6", "There nothing comes back from anybody."),
            Apart("NatDestinationFailing", "There the address is a reserved one, and the partner itself is silent."),
        ),
        (
            "See which address the world sees, and compare it with those reserved.",
            "See what changed it: replaced machine, lost association, another NAT in the path.",
            "Tell partners only if the address cannot be had back.",
        ),
        (
            "Associate the reserved address with the NAT's interface again.",
            "Reserve addresses: a dynamic one goes with the machine.",
            "Give partners all reserved addresses, those of the fail-over NATs included.",
        ),
    ),
    Fault(
        "F8",
        "MTU or fragmentation trouble",
        "Connections are made and then hang: small answers come, large ones do not; uploads stall.",
        (
            probes.PATH_MTU_STATE,
            probes.PATH_MTU,
            accounting.FRAGMENTATION,
            protocols.IP_FRAGMENTATION_FAILURES,
            network.MTU,
            protocols.ICMP_OUT_RATE_LIMITED,
        ),
        ("NatPathMtuBlackHole", "NatPathMtuReduced", "NatFragmentation"),
        (
            Apart("F6", "There not even the handshake succeeds."),
            Apart("F2", "There packets of every size are slow or lost."),
            Apart("F3", "There loss strikes packets of every size, by chance."),
        ),
        (
            "Find the largest packet that passes, through the NAT and from the NAT itself.",
            "Compare it with the MTU of the NAT's interfaces.",
            "See whether ICMP messages about it reach the private hosts.",
        ),
        (
            "Clamp the MSS of forwarded SYNs: helps TCP at once, new connections only.",
            "Let ICMP type 3 code 4, and ICMPv6 type 2, through every filter.",
            "Give interfaces and tunnels the MTU that their path has.",
        ),
    ),
    Fault(
        "F9",
        "Ports exhausted towards one destination",
        "New connections to one busy service fail now and then, then nearly always; everything else works.",
        (
            conntrack.NEW_FLOW_DROPS,
            flows.SATURATION,
            flows.DESTINATION_PORTS,
            flows.RANGE_SIZE,
            flows.DESTINATION_RECLAIMABLE,
            conntrack.INSERT_FAILED,
        ),
        ("NatPortsExhausted", "NatPortSaturation"),
        (
            Apart("NatTupleClashes", "There ports are lost to chance: no destination has 80 % of its ports in use."),
            Apart("F1", "There every destination is concerned, and drops have the reason `table_full`."),
            Apart("NatDestinationFailing", "There packets leave the NAT, and the destination does not answer."),
        ),
        (
            "Find the destination, and the share of ports that it takes.",
            "Find the hosts that have the flows.",
            "See how large the range of ports is, and who made it small.",
        ),
        (
            "More ports: widen the range, or add SNAT addresses; each gives 64,512 ports more for each destination.",
            "Fewer flows: reuse connections, close them, quarantine a host that leaks them.",
            "Spread the clients over several NATs, or reach the service by a private way.",
        ),
    ),
)
