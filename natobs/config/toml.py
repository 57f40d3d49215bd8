"""TOML into frozen structs, strictly.

An unknown key, a wrong type or a value out of range is a
:class:`~natobs.errors.ConfigError` that begins with the file and the dotted
path. Knows no section of any file.
"""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from natobs.errors import ConfigError

_ENTRY = re.compile(r"\[[^\]]*\]")
Root = TypeVar("Root", bound=msgspec.Struct)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Prefix:
    """An IP prefix as written in the configuration, for example ``10.0.0.0/8``."""

    def __init__(self, text: str) -> None:
        self.network: Network = ipaddress.ip_network(text)

    def __str__(self) -> str:
        return str(self.network)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prefix) and self.network == other.network

    def __hash__(self) -> int:
        return hash(self.network)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


def decode(text: str, origin: str, root: type[Root]) -> Root:
    """Decode the text of a configuration file.

    Args:
        text: TOML.
        origin: what to call it in errors.
        root: what the whole file is.

    Raises:
        ConfigError: with the origin, the dotted path or the line, and what would be accepted.
    """
    try:
        return msgspec.convert(tomllib.loads(text), root, dec_hook=_decode)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error, root)}") from error


def read(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error}") from error


def explain(error: msgspec.ValidationError, root: type[msgspec.Struct]) -> str:
    """The message of a strict decoder with a dotted path first, and for an unknown key the keys that exist."""
    message, _at, path = str(error).partition(" - at `")
    dotted = path.rstrip("`").removeprefix("$").removeprefix(".")
    if "unknown field" in message:
        key = message.rpartition("`")[0].rpartition("`")[2]
        known = ", ".join(sorted(_fields(root, dotted)))
        return f"{'.'.join(filter(None, (dotted, key)))}: unknown key; known here: {known}"
    return f"{dotted or 'file'}: {message}"


def _fields(root: type[msgspec.Struct], dotted: str) -> list[str]:
    """The keys of the table at a dotted path; ``[...]`` and ``[0]`` stand for an entry of a table or an array."""
    current = msgspec.inspect.type_info(root)
    for part in _ENTRY.sub(".*", dotted).split("."):
        if isinstance(current, msgspec.inspect.StructType) and part:
            current = next(field.type for field in current.fields if field.encode_name == part)
        while isinstance(current, msgspec.inspect.Metadata):
            current = current.type
        if isinstance(current, msgspec.inspect.UnionType):  # a table, or none
            current = next(choice for choice in current.types if isinstance(choice, msgspec.inspect.StructType))
        if isinstance(current, msgspec.inspect.DictType) and part == "*":
            current = current.value_type
        elif isinstance(current, msgspec.inspect.VarTupleType) and part == "*":
            current = current.item_type
    assert isinstance(current, msgspec.inspect.StructType)
    return [field.encode_name for field in current.fields]


def _decode(kind: type, value: object) -> object:
    if kind is Prefix and isinstance(value, str):
        return to_prefix(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


def to_prefix(text: str) -> Prefix:
    """Read a prefix; the ValueError says what would be one."""
    try:
        return Prefix(text)
    except ValueError as error:
        raise ValueError(f"{error}; expected a prefix such as 10.0.0.0/8") from error
