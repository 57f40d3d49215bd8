"""The agent's configuration file.

Every field has a default that suits an ordinary NAT VM, and a help text that
``docs/config.md`` is generated from. Knows nothing of what the values are used
for.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from natobs.config.flows import Accounting, Census, Events, Tenant
from natobs.config.machine import Agent, Collectors, Firewall, Link, Nat, Operations
from natobs.config.probing import Otlp, Probes, Responder
from natobs.config.toml import Network, Prefix, Section, decode, read

__all__ = [
    "Accounting",
    "Agent",
    "Census",
    "Collectors",
    "Config",
    "Events",
    "Firewall",
    "Link",
    "Nat",
    "Network",
    "Operations",
    "Otlp",
    "Prefix",
    "Probes",
    "Responder",
    "Section",
    "Tenant",
    "decode",
    "load",
    "parse",
    "read",
]


class Config(Section, frozen=True):
    """The whole file."""

    agent: Agent = Agent()
    collectors: Collectors = Collectors()
    nat: Nat = Nat()
    links: Annotated[dict[str, Link], Meta(description="By interface name, for example `[links.eth0]`.")] = (
        msgspec.field(default_factory=dict)
    )
    firewall: Firewall = Firewall()
    accounting: Accounting = Accounting()
    census: Census = Census()
    events: Events = Events()
    operations: Operations = Operations()
    probes: Probes = Probes()
    responder: Responder = Responder()
    otlp: Otlp = Otlp()


def parse(text: str, origin: str) -> Config:
    """Decode the text of an agent's configuration file; see :func:`decode`."""
    return decode(text, origin, Config)


def load(path: Path | None) -> Config:
    """Read a configuration file; None is the configuration of defaults.

    Raises:
        ConfigError: it cannot be read, or is wrong.
    """
    return Config() if path is None else decode(read(path), str(path), Config)
