"""What every prober of one engine shares, and what a kind of probe is."""

from dataclasses import dataclass, field
from typing import Protocol

from natobs.probes.model import Notices, Prober, Target
from natobs.probes.resolve import Resolver
from natobs.wire.token import Tokens


@dataclass(frozen=True, slots=True)
class Environment:
    """What a prober may use beside its own target.

    Args:
        resolver: names to addresses.
        notices: where it reports what belongs to no attempt under way.
        tokens: by which packets are known on their way.
    """

    resolver: Resolver
    notices: Notices
    tokens: Tokens = field(default_factory=Tokens)


class Unnoticed:
    """Notices that nobody reads."""

    def late(self, target: Target) -> None:
        """Nothing."""

    def clock_reject(self, target: Target) -> None:
        """Nothing."""

    def observed(self, target: Target, address: str) -> None:
        """Nothing."""


class Kind(Protocol):
    """A kind of probe: ``icmp``, ``udp``, ``tcp`` and so on."""

    @property
    def name(self) -> str:
        """Its name in the probe file, and its value of the label ``kind``."""

    @property
    def default_port(self) -> int:
        """Port of a target that names none; 0 where the kind has no ports."""

    def open(self, target: Target, environment: Environment) -> Prober:
        """Make the prober of a target; opens no socket yet.

        Raises:
            ConfigError: the definition asks for something that this kind cannot do.
        """
