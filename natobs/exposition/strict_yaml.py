"""YAML as Prometheus reads it: a key given twice is an error. Knows no key; imports the library when it is called."""

from typing import Any

from natobs.errors import ConfigError


def load(text: bytes) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Read one document.

    Raises:
        ConfigError: what is wrong, and in which line; it does not quote the line, which may hold a secret.
    """
    import yaml  # noqa: PLC0415 - only who was given such a file pays for it

    class StrictLoader(yaml.SafeLoader):
        """A safe loader that refuses a key given twice."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"line {node.start_mark.line + 1}: {name} is given twice in one mapping")
        return loader.construct_mapping(node, deep=True)

    StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader=StrictLoader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"line {line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError("not YAML: holds characters that YAML does not allow") from error
