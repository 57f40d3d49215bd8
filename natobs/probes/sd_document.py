"""Documents that list targets, in Prometheus' format of file_sd and http_sd: ``[{"targets": [...], "labels": {...}}]``.

Pure: text to targets. Labels are checked and then ignored: series have the
labels of the catalogue. Strict, as every configuration. Hostile documents cost
time in proportion to their size, and no more: YAML is read as a stream of
events, without aliases (which can make a small document huge), tags and depth.
"""

from collections.abc import Iterator
from typing import Any, Literal, NoReturn

import msgspec

from natobs.errors import ConfigError
from natobs.probe_config import split_target

Form = Literal["json", "yaml"]

_KEYS = ("targets", "labels")
_DEEPEST = 8
"""A document has depth 3."""
_NAMES = {dict: "a table", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}


def parse(data: bytes, form: Form, origin: str, most: int) -> tuple[str, ...]:
    """The targets of a document, each once, in its order.

    Args:
        data: UTF-8.
        form: how it is written.
        origin: what to call it in errors.
        most: with more targets than this it is refused.

    Raises:
        ConfigError: with the origin, the place and what was expected.
    """
    document = _json(data, origin) if form == "json" else _yaml(data, origin)
    found: dict[str, None] = {}
    for where, text in _targets(document, origin):
        try:
            split_target(text, 0)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        found[text] = None
        if len(found) > most:
            raise ConfigError(f"{origin}: more than {most} targets, which is prober.max_targets")
    return tuple(found)


def _targets(document: object, origin: str) -> Iterator[tuple[str, str]]:
    """Each target with the place where it stands."""
    if not isinstance(document, list):
        _expected("a list of groups", document, f"{origin}: document")
    for number, group in enumerate(document):
        where = f"{origin}: [{number}]"
        if not isinstance(group, dict):
            _expected("a table with targets", group, where)
        for key in group:
            if key not in _KEYS:
                raise ConfigError(f"{where}.{key}: unknown key; known here: {', '.join(_KEYS)}")
        _check_labels(group.get("labels", {}), f"{where}.labels")
        targets = group.get("targets", [])
        if not isinstance(targets, list):
            _expected("a list", targets, f"{where}.targets")
        for place, text in enumerate(targets):
            if not isinstance(text, str):
                _expected("text", text, f"{where}.targets[{place}]")
            yield f"{where}.targets[{place}]", text


def _check_labels(labels: object, where: str) -> None:
    if not isinstance(labels, dict):
        _expected("a table", labels, where)
    for name, value in labels.items():
        if not isinstance(value, str):
            _expected("text", value, f"{where}.{name}")


def _expected(what: str, found: object, where: str) -> NoReturn:
    raise ConfigError(f"{where}: expected {what}, found {_NAMES.get(type(found), 'a number')}")


def _json(data: bytes, origin: str) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{origin}: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{origin}: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{origin}: not UTF-8: {error}") from error


def _yaml(data: bytes, origin: str) -> object:
    import yaml  # noqa: PLC0415 - only where such a document is read

    # The parser in C where PyYAML was built with it: it is 20 times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _build(yaml.parse(data.decode(), Loader=loader), origin)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{origin}: not UTF-8: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{origin}: line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: holds characters that YAML does not allow") from error


def _build(events: Iterator[Any], origin: str) -> object:
    """Lists, tables, text and other values (as None or numbers) of the only document of a stream.

    Raises:
        ConfigError: it holds what targets have no use for.
    """
    import yaml  # noqa: PLC0415 - see above

    resolver = yaml.resolver.Resolver()
    root: list[object] = []
    open_nodes: list[tuple[Any, list[object]]] = []
    """Each with what it holds so far; a table's keys and values in turn."""
    for event in events:
        where = f"{origin}: line {event.start_mark.line + 1}"
        if isinstance(event, yaml.DocumentStartEvent) and root:
            raise ConfigError(f"{where}: a second document")
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{where}: an alias; write its text instead")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag not in {None, "!"}:
            raise ConfigError(f"{where}: the tag {event.tag}; tags have no use here")
        holder = open_nodes[-1][1] if open_nodes else root
        if isinstance(event, yaml.ScalarEvent):
            holder.append(_scalar(event, resolver))
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) >= _DEEPEST:
                raise ConfigError(f"{where}: nested too deeply")
            open_nodes.append((event, []))
        elif isinstance(event, yaml.CollectionEndEvent):
            begun, held = open_nodes.pop()
            holder = open_nodes[-1][1] if open_nodes else root
            where = f"{origin}: line {begun.start_mark.line + 1}"
            holder.append(held if isinstance(begun, yaml.SequenceStartEvent) else _table(held, where))
    return root[0] if root else None


def _table(held: list[object], where: str) -> dict[str, object]:
    table: dict[str, object] = {}
    for key, value in zip(held[::2], held[1::2], strict=True):
        if not isinstance(key, str):
            raise ConfigError(f"{where}: a key that is no text")
        if key in table:
            raise ConfigError(f"{where}: {key} is given twice in one table")
        table[key] = value
    return table


def _scalar(event: Any, resolver: Any) -> object:  # noqa: ANN401 - PyYAML's types have no use for the annotations
    """Text; None, a bool or a number stand for everything that YAML takes for something else."""
    import yaml  # noqa: PLC0415 - see above

    if not event.implicit[0]:
        return event.value
    tag = resolver.resolve(yaml.ScalarNode, event.value, (True, False)).rpartition(":")[2]
    return {"str": event.value, "null": None, "bool": False}.get(tag, 0)
