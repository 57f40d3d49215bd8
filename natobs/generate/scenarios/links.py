"""Scenarios of alerts on interfaces, drops and throughput."""

from natobs.catalogue.metrics import firewall, network, nic, routing
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.types import Metric
from natobs.generate.scenarios.model import Feed, Scenario, Signal, burst, events, level
from natobs.generate.scenarios.shapes import highest, mean, once

_FIVE, _TEN = 5 * MINUTE, 10 * MINUTE
_PACKETS = 100_000


def _link(role: str | None) -> Feed:
    """One link as it is told, and another one that is down and of neither side."""

    def feed(value: float) -> tuple[Signal, ...]:
        links = (level(network.UP, value, device="eth21"), level(network.UP, 0, device="eth22"))
        return (*links, level(routing.DEVICE_ROLE, 1, device="eth21", role=role)) if role else links

    return feed


def _packets(received: float, sent: float) -> tuple[Signal, ...]:
    return (
        events(network.RECEIVE_PACKETS, received, _FIVE, device="eth21"),
        events(network.TRANSMIT_PACKETS, sent, _FIVE, device="eth22"),
    )


def _share(metric: Metric, packets: float = _PACKETS, **labels: str) -> Feed:
    """A share of all packets, counted by a metric."""
    return lambda value: (
        events(metric, value * packets, _FIVE, device="eth21", **labels),
        *_packets(0.6 * packets, 0.4 * packets),
    )


def _load(value: float) -> tuple[Signal, ...]:
    """A small interface with peaks, and a large one without."""
    return (
        level(network.PEAK_BYTES, value * 1000, device="eth21", direction="out"),
        level(network.PEAK_BYTES, 310, device="eth21", direction="in"),
        level(network.CAPACITY, 1000, device="eth21"),
        level(network.PEAK_BYTES, 2000, device="eth22", direction="in"),
        level(network.CAPACITY, 10_000, device="eth22"),
    )


SCENARIOS = (
    Scenario(
        "NatLinkDown",
        highest(MINUTE),
        {"a link": _link("outside"), "the other side": _link("inside")},
        guards={"a link of neither side": _link(None)},
        rest=1,
        shows={"device": "eth21"},
        reach=MINUTE,
        step=15,
    ),
    Scenario(
        "NatCarrierFlapping",
        once(_TEN),
        {
            "a carrier": lambda value: (
                burst(network.CARRIER_CHANGES, value, device="eth21"),
                burst(network.CARRIER_CHANGES, 2, device="eth22"),
                level(routing.DEVICE_ROLE, 1, device="eth21", role="outside"),
                level(routing.DEVICE_ROLE, 1, device="eth22", role="inside"),
            )
        },
        guards={
            "a link of neither side": lambda value: (burst(network.CARRIER_CHANGES, value, device="eth21"),),
        },
        shows={"device": "eth21"},
        reach=_TEN,
    ),
    Scenario(
        "NatNicErrors",
        mean(_FIVE),
        {"received": _share(network.RECEIVE_ERRORS), "sent": _share(network.TRANSMIT_ERRORS)},
    ),
    Scenario(
        "NatPacketDrops",
        mean(_FIVE),
        {
            "received": _share(network.RECEIVE_DROPS),
            "sent": _share(network.TRANSMIT_DROPS, 10_100),
            "missed": _share(network.RECEIVE_MISSED),
            "queue": _share(network.QDISC_DROPS, qdisc="fq_codel"),
            "the carrier came and went": lambda value: (
                *_share(network.RECEIVE_DROPS)(value),
                burst(network.CARRIER_CHANGES, 3 if value else 0, device="eth21"),
            ),
        },
        guards={
            "ten packets": lambda value: (
                events(network.RECEIVE_DROPS, 10 if value else 0, _FIVE, device="eth21"),
                *_packets(200, 210),
            ),
            "the carrier flaps": lambda value: (
                *_share(network.RECEIVE_DROPS)(value),
                events(network.CARRIER_CHANGES, 100 if value else 0, _TEN, device="eth21"),
            ),
        },
    ),
    Scenario(
        "NatAllowanceExceeded",
        mean(_FIVE),
        {
            "an allowance": lambda value: (
                events(nic.ALLOWANCE_EXCEEDED, value, _FIVE, allowance="pps", device="eth21"),
            )
        },
        shows={"allowance": "pps"},
    ),
    Scenario("NatThroughputNearLimit", highest(_FIVE), {"a peak": _load}, rest=0.32),
    Scenario(
        "NatFirewallDenies",
        mean(_FIVE),
        {
            "two rules": lambda value: (
                events(firewall.DENIES, value / 2, _FIVE, rule="no smtp"),
                events(firewall.DENIES, value / 2, _FIVE, rule="no telnet"),
            )
        },
    ),
)
