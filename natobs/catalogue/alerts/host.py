"""Alerts on the machine that translates: M3, and the failure mode F2."""

from natobs.catalogue.alerting import Alert, page, ticket
from natobs.catalogue.alerts.symptoms import BURNS
from natobs.catalogue.idioms import pooled
from natobs.catalogue.metrics import host, softnet
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.promql import Scope, highest, lowest, over, rate, series, total
from natobs.catalogue.values import BUSY

_FIVE = 5 * MINUTE

ALERTS = (
    Alert(
        "NatCpuUsage",
        "M3",
        Scope.NAT,
        BUSY.series,
        ">",
        (ticket(0.60, 15 * MINUTE), page(0.85)),  # of five minutes already
        "The CPUs of the NAT are busy.",
        "The CPUs of {nat} have been {value} busy over 5 minutes.",
        unit="ratio",
        fault="F2",
        silences=(
            "NatCpuBurn",
            "NatSoftirqSaturated",
            "NatSoftnetPressure",
            "NatCpuSteal",
            "NatAddedLatency",
            "NatAddedLatencyBurn",
            "NatPacketDrops",
            "NatPacketDropsBurn",
            "NatProbeScheduleLate",
            *BURNS,
        ),
    ),
    Alert(
        "NatSoftirqSaturated",
        "M3",
        Scope.NAT,
        highest(Scope.NAT, total(Scope.NAT, rate(series(host.CPU_SECONDS, mode="softirq"), _FIVE), "cpu")),
        ">",
        (ticket(0.90, 2 * _FIVE),),
        "One CPU does nothing but receive packets.",
        "One CPU of {nat} spends {value} of its time in softirqs; the average of all CPUs hides it.",
        unit="ratio",
        fault="F2",
        keep=MINUTE,
    ),
    Alert(
        "NatSoftnetPressure",
        "M3",
        Scope.NAT,
        pooled(
            Scope.NAT,
            "sum",
            dropped=rate(series(softnet.DROPPED), _FIVE),
            squeezed=rate(series(softnet.TIMES_SQUEEZED), _FIVE),
        ),
        ">",
        (ticket(10, 2 * _FIVE),),
        "The kernel cannot take packets from the interfaces fast enough.",
        "{nat} dropped packets from its backlog, or stopped receiving with packets left, {value} times a second.",
        unit="per_second",
        fault="F2",
        keep=MINUTE,
    ),
    Alert(
        "NatCpuSteal",
        "M3",
        Scope.NAT,
        highest(Scope.NAT, total(Scope.NAT, rate(series(host.CPU_SECONDS, mode="steal"), _FIVE), "cpu")),
        ">",
        (ticket(0.10, 10 * MINUTE),),
        "The hypervisor takes CPU time from the NAT.",
        "{value} of a CPU of {nat} goes to other virtual machines.",
        unit="ratio",
        fault="F2",
        keep=MINUTE,
    ),
    Alert(
        "NatMemoryLow",
        "M3",
        Scope.NAT,
        lowest(Scope.NAT, over("max_over_time", series(host.MEMORY_AVAILABLE), _FIVE))
        / lowest(Scope.NAT, series(host.MEMORY_TOTAL)),
        "<",
        (ticket(0.10), page(0.03)),
        "The NAT is short of memory.",
        "Only {value} of the memory of {nat} is available; the kernel kills processes when there is none.",
        unit="ratio",
    ),
)
