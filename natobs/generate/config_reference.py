"""``docs/config.md`` and ``docs/probe-config.md``: every key of both files, from the fields and their help texts."""

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from natobs.config import Config, Prefix
from natobs.config.fleet import Fleet
from natobs.generate import markdown
from natobs.probe_config import ProbeFile

_INTRO = """`natobs agent --config FILE` reads TOML. Every key has a default that suits an ordinary NAT VM, so no
file is needed. An unknown key is an error: `natobs agent --config FILE --check` says whether a file is right.

SIGHUP, or a POST to `/-/reload`, has the agent read the file again; a wrong one changes nothing. What the options of
the command line say stays.
`agent.listen`, `agent.max_connections` and `agent.scrape_limit_seconds` take a restart, and the log says so."""

_PROBE_INTRO = """`natobs probe --config FILE` reads TOML. Every `[[probe]]` sends one kind of packet or request to its
targets; `expect` says what counts as success. An unknown key is an error, and so is one that a probe's kind has no use
for: `natobs probe --config FILE --check` says whether a file is right. [probes/](../probes/README.md) holds files to
begin with."""


_FLEET_INTRO = """`natobs generate WHAT --config FILE` reads TOML: what a fleet wants other than the defaults. Without a
file the defaults are generated, and an unknown key is an error."""


def page() -> str:
    """The agent's configuration."""
    return markdown.page("Configuration", _INTRO, _tables("", Config))


def probe_page() -> str:
    """The probe file."""
    return markdown.page("Probe files", _PROBE_INTRO, _tables("", ProbeFile))


def fleet_page() -> str:
    """The file of ``natobs generate``."""
    return markdown.page("Fleet files", _FLEET_INTRO, _tables("", Fleet))


def _tables(prefix: str, section: type[msgspec.Struct]) -> Iterator[str]:
    keys: list[list[str]] = []
    nested: list[tuple[str, type[msgspec.Struct], str]] = []
    for field in _fields(section):
        plain, schema = _unwrap(field.type)
        path = f"{prefix}{field.encode_name}"
        if isinstance(plain, inspect.StructType):
            nested.append((f"[{path}]", plain.cls, ""))
        elif isinstance(value := _value_type(plain), inspect.StructType):
            name = f"[{path}.NAME]" if isinstance(plain, inspect.DictType) else f"[[{path}]]"
            nested.append((name, value.cls, str(schema.get("description", ""))))
        else:
            default = "required" if field.required else "" if field.default is None else f"`{_literal(field.default)}`"
            keys.append([f"`{field.encode_name}`", _type(plain), default, str(schema.get("description", ""))])
    if keys:
        yield markdown.table(["key", "type", "default", "meaning"], keys)
    for path, struct, help_text in nested:
        intro = (struct.__doc__ or "").strip()
        yield f"## `{path}`\n"
        yield f"{' '.join(filter(None, (intro, help_text)))}\n"
        yield from _tables(f"{path.strip('[]')}.", struct)


def _fields(section: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(section)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _value_type(kind: inspect.Type) -> inspect.Type | None:
    """What the values of a table or an array are."""
    match kind:
        case inspect.DictType():
            return _unwrap(kind.value_type)[0]
        case inspect.VarTupleType():
            return _unwrap(kind.item_type)[0]
    return None


def _unwrap(kind: inspect.Type) -> tuple[inspect.Type, dict[str, object]]:
    schema: dict[str, object] = {}
    while isinstance(kind, inspect.Metadata):
        schema |= kind.extra_json_schema or {}
        kind = kind.type
    return kind, schema


def _plain(kind: inspect.Type) -> inspect.Type:
    return _unwrap(kind)[0]


def _type(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType() | inspect.FloatType():
            words = ("whole " if isinstance(kind, inspect.IntType) else "") + f"number{_range(kind.ge, kind.le)}"
        case inspect.StrType():
            words = "text"
        case inspect.BoolType():
            words = "`true` or `false`"
        case inspect.UnionType():
            words = ", ".join(_type(one) for one in map(_plain, kind.types) if not isinstance(one, inspect.NoneType))
        case inspect.VarTupleType():
            words = f"list of {_type(_unwrap(kind.item_type)[0])}"
        case inspect.DictType():
            words = f"table of {_type(_unwrap(kind.value_type)[0])}"
        case inspect.LiteralType():
            words = ", ".join(f'`"{value}"`' for value in kind.values)
        case inspect.CustomType() if kind.cls is Prefix:
            words = "IP prefix"
        case _:
            raise TypeError(f"no words for {kind}")
    return words


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None else f" from {low:.12g}" if high is None else f", {low:.12g} to {high:.12g}"


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is msgspec.NODEFAULT:  # made anew for each file
        return "{}"
    return str(value) if isinstance(value, int | float) else f'"{value}"'
