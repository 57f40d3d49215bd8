"""Scenarios of alerts on what is beyond the NAT: names, destinations, and how large a packet may be."""

from natobs.catalogue.metrics import accounting, probes, protocols
from natobs.catalogue.naming import MINUTE
from natobs.generate.scenarios.model import Feed, Scenario, Signal, Way, events, level
from natobs.generate.scenarios.path import FEW, MORE, PROBE, attempts, reasons
from natobs.generate.scenarios.shapes import both, later, lowest, mean, through

_TWO, _FIVE, _TEN = 2 * MINUTE, 5 * MINUTE, 10 * MINUTE


def _names(value: float, number: float = 100) -> tuple[Signal, ...]:
    return (*attempts(0, number), *reasons(_TWO, dns=value * number, timeout=40))


_MOST = 0.5


def _unanswered(value: float) -> float:
    """The share of questions that is fed for a value."""
    return _MOST + value / 5 if value else 0.0


_SILENCE = through(mean(_TWO), _unanswered, lambda seen: seen if seen > _MOST else 0.0)


def _questions(number: float = 100, others: float = _MOST, of: float = 100) -> Feed:
    """Most questions for names are not answered; of so many other probes a share fails, too."""
    return lambda value: (
        *attempts(_unanswered(value), number, probe="names", kind="dns"),
        *attempts(others, of),
    )


def _resolvers(port: str, names: float = 1.0) -> Feed:
    """A destination fails, and so does a share of names; both are nobody's fault but theirs."""
    return lambda value: (
        *_names(names if value else 0),
        *_towards(port, value),
        *(signal for other in ("22", "23") for signal in _towards(other, 0.5)),
    )


def _fragments(state: str) -> Feed:
    """Packets are too large, and so a prober has found, or not."""
    return lambda value: (
        events(accounting.FRAGMENTATION, value, _FIVE),
        level(probes.PATH_MTU_STATE, 1 if value else 0, **PROBE, state=state),
    )


def _found_before(value: float) -> tuple[Signal, ...]:
    """What a prober has found, it does not find any more when packets are too large."""
    return (
        events(accounting.FRAGMENTATION, value, _FIVE),
        level(probes.PATH_MTU_STATE, 0 if value else 1, **PROBE, state="fragmented"),
    )


def _towards(port: str, unanswered: float, number: float = 100, destination: str = "") -> tuple[Signal, ...]:
    labels = {"destination": destination or f"198.51.100.{port}", "port": port, "proto": "tcp"}
    return (
        events(accounting.DESTINATION_ATTEMPTS, number, _FIVE, **labels),
        events(accounting.DESTINATION_ANSWERED, number * (1 - unanswered), _FIVE, **labels),
    )


def _destinations(number: float, others: int = 2) -> Feed:
    """One destination fails; others are at the very limit; what is no destination of its own fails altogether."""
    return lambda value: (
        *_towards("21", value, number),
        *(signal for other in range(others) for signal in _towards(str(22 + other), 0.5)),
        *_towards("", 0.99, destination="other"),
    )


def _mtu(*states: str) -> dict[str, Feed]:
    return {
        state: lambda value, state=state: (  # type: ignore[misc]  # a default, to bind it
            level(probes.PATH_MTU_STATE, value, **PROBE, state=state),
            level(probes.PATH_MTU_STATE, 1 - value, **PROBE, state="clean"),
            level(probes.PATH_MTU_STATE, 1, **PROBE | {"probe": "wide"}, state="udp_only"),
        )
        for state in states
    }


SCENARIOS = (
    Scenario(
        "NatDnsFailing",
        mean(_TWO),
        {
            "names": _names,
            "few probes": lambda value: _names(value, MORE),
            "silence": Way(_questions(), _SILENCE),
            "silence, few probes": Way(_questions(MORE), _SILENCE),
            "silence, very few others fail as well": Way(_questions(100, 0.51, FEW), _SILENCE),
        },
        guards={
            "very few probes": lambda value: _names(value, FEW),
            "silence, very few probes": _questions(FEW),
            "half of it is silence": lambda value: attempts(_MOST if value else 0, probe="names", kind="dns"),
            "others fail as well": _questions(100, 0.51),
            "few others fail as well": _questions(100, 0.51, MORE),
        },
        reach=_TWO,
        step=15,
    ),
    Scenario(
        "NatDestinationFailing",
        mean(_FIVE),
        {"one of three": _destinations(100), "few flows": _destinations(20.4), "and names fail": _resolvers("21")},
        guards={
            "very few flows": _destinations(20),
            "one of two": _destinations(100, 1),
            "it is where names are asked for": _resolvers("53"),
            "it is where names are asked for, and few fail": _resolvers("53", 0.052),
        },
        shows={"destination": "198.51.100.21", "port": "21", "proto": "tcp"},
    ),
    Scenario("NatPathMtuBlackHole", lowest(_TWO), _mtu("black_hole"), reach=_TWO),
    Scenario("NatPathMtuReduced", lowest(_TWO), _mtu("packet_too_big", "fragmented"), reach=_TWO),
    Scenario(
        "NatFragmentation",
        mean(_FIVE),
        {
            "told": lambda value: (events(accounting.FRAGMENTATION, value, _FIVE),),
            "failed": lambda value: (
                events(protocols.IP_FRAGMENTATION_FAILURES, value, _FIVE),
                events(accounting.FRAGMENTATION, 0, _FIVE),
            ),
            "no prober has found it": _fragments("udp_only"),
            "no prober finds it any more": Way(_found_before, both(mean(_FIVE), later(_TEN))),
        },
        guards={
            f"a prober has found it: {state}": _fragments(state)
            for state in ("packet_too_big", "fragmented", "black_hole")
        },
        lasts=20 * MINUTE,
    ),
)
