"""How long a datagram is, where its kind has a least length."""

from natobs.errors import ConfigError
from natobs.probe_config import ProbeSettings


def size_of(settings: ProbeSettings, least: int, what: str) -> int:
    """Bytes of the payload that a definition asks for; the least where it asks for none.

    Args:
        settings: the definition.
        least: bytes.
        what: has at least so many, for the sentence that says so.

    Raises:
        ConfigError: it asks for fewer.
    """
    size = settings.payload_bytes or least
    if size < least:
        raise ConfigError(f"probe {settings.name}: payload_bytes is {size}; {what} has at least {least}")
    return size
