"""The only reader of YAML files and environment variables."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

PREFIX = "TIDEGATE__"

Schema = TypeVar("Schema", bound=BaseModel)


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, key, value and limit."""


def load(path: Path, schema: type[Schema], environ: Mapping[str, str] | None = None) -> Schema:
    """Read one YAML file into `schema`, environment variables first.

    A variable ``TIDEGATE__SERVER__PORT=9000`` overrides the key ``server.port``; its value is read
    as YAML, so that numbers, booleans and lists keep their type.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or outside its limit.
    """
    values = read_yaml(path)
    overrides = environment_overrides(os.environ if environ is None else environ, schema)
    try:
        return schema.model_validate(merged(values, overrides))
    except ValidationError as error:
        raise ConfigError(describe(path, error, overrides)) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: it is not there, not YAML or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, found {type(values).__name__}")
    return values


def environment_overrides(environ: Mapping[str, str], schema: type[BaseModel]) -> dict[str, Any]:
    """Nested overrides from variables whose first part names a section of `schema`."""
    overrides: dict[str, Any] = {}
    for name, text in sorted(environ.items()):
        keys = name.removeprefix(PREFIX).lower().split("__")
        if name.startswith(PREFIX) and keys[0] in schema.model_fields:
            value: Any = yaml.safe_load(text)
            for key in reversed(keys):
                value = {key: value}
            overrides = merged(overrides, value)
    return overrides


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid upon it, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def describe(path: Path, error: ValidationError, overrides: dict[str, Any]) -> str:
    """One line a fault: file (or variable), key, value, limit."""
    lines = []
    for fault in error.errors():
        keys = [str(part) for part in fault["loc"]]
        if not keys:  # two keys that contradict each other; the message names both
            lines.append(f"{path}: {fault['msg']}")
            continue
        source = PREFIX + "__".join(keys).upper() if _holds(overrides, keys) else str(path)
        lines.append(f"{source}: {'.'.join(keys)} = {fault['input']!r}: {fault['msg']}")
    return "\n".join(lines)


def _holds(overrides: Any, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(overrides, dict) or key not in overrides:
            return False
        overrides = overrides[key]
    return True
