"""``docs/config.md``: every key of the configuration file, from the fields and their help texts."""

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from natobs.config import Config, Prefix
from natobs.generate import markdown

_INTRO = """`natobs agent --config FILE` reads TOML. Every key has a default that suits an ordinary NAT VM, so no
file is needed. An unknown key is an error: `natobs agent --config FILE --check` says whether a file is right.

SIGHUP has the agent read the file again; a wrong one changes nothing. What the options of the command line say stays.
`agent.listen`, `agent.max_connections` and `agent.scrape_limit_seconds` take a restart, and the log says so."""


def page() -> str:
    """The text of the page."""
    return markdown.page("Configuration", _INTRO, _tables("", Config))


def _tables(prefix: str, section: type[msgspec.Struct]) -> Iterator[str]:
    keys: list[list[str]] = []
    nested: list[tuple[str, type[msgspec.Struct], str]] = []
    for field in _fields(section):
        plain, schema = _unwrap(field.type)
        path = f"{prefix}{field.encode_name}"
        if isinstance(plain, inspect.StructType):
            nested.append((f"{path}", plain.cls, ""))
        elif isinstance(plain, inspect.DictType):
            value, _schema = _unwrap(plain.value_type)
            assert isinstance(value, inspect.StructType)
            nested.append((f"{path}.NAME", value.cls, str(schema.get("description", ""))))
        else:
            default = "required" if field.required else f"`{_literal(field.default)}`"
            keys.append([f"`{field.encode_name}`", _type(plain), default, str(schema.get("description", ""))])
    if keys:
        yield markdown.table(["key", "type", "default", "meaning"], keys)
    for path, struct, help_text in nested:
        intro = (struct.__doc__ or "").strip()
        yield f"## `[{path}]`\n"
        yield f"{' '.join(filter(None, (intro, help_text)))}\n"
        yield from _tables(f"{path}.", struct)


def _fields(section: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(section)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _unwrap(kind: inspect.Type) -> tuple[inspect.Type, dict[str, object]]:
    schema: dict[str, object] = {}
    while isinstance(kind, inspect.Metadata):
        schema |= kind.extra_json_schema or {}
        kind = kind.type
    return kind, schema


def _type(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType():
            return f"whole number{_range(kind.ge, kind.le)}"
        case inspect.FloatType():
            return f"number{_range(kind.ge, kind.le)}"
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.VarTupleType():
            return f"list of {_type(_unwrap(kind.item_type)[0])}"
        case inspect.CustomType() if kind.cls is Prefix:
            return "IP prefix"
    raise TypeError(f"no words for {kind}")


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None else f" from {low:g}" if high is None else f", {low:g} to {high:g}"


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'
