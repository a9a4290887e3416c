"""A configuration from a TOML file and the environment, in that order over the defaults.

The file has a table for each part, ``[retry]``, or below ``[resilience]`` (or ``[tool.scorewise.resilience]``) where it
shares the file with others. The environment has a variable for each field: ``SCOREWISE_RESILIENCE_``, part and field in
upper case, ``SCOREWISE_RESILIENCE_RETRY_MAX_CONCURRENT_RETRIES=5``. Errors name the key and where it stands.
"""

import os
import sys
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from scorewise_actors.errors import ConfigurationError
from scorewise_actors.resilience.configuration import ResilienceConfiguration

PREFIX = "SCOREWISE_RESILIENCE_"
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_Values = dict[str, dict[str, tuple[Any, str]]]
"""Part → field → value and where it stands."""


def load(file: str | Path | None = None, environ: Mapping[str, str] | None = None) -> ResilienceConfiguration:
    """Defaults, then the TOML ``file`` if one is given, then the environment (``os.environ`` unless given).

    Raises ``ConfigurationError`` for a file that cannot be read, an unknown key, and a value out of its range.
    """
    values = _of_file(Path(file)) if file is not None else {}
    for part, fields in _of_environment(os.environ if environ is None else environ).items():
        values.setdefault(part, {}).update(fields)
    return _built(values)


def from_toml(file: str | Path) -> ResilienceConfiguration:
    """``load`` without the environment."""
    return load(file, {})


def from_environment(environ: Mapping[str, str] | None = None) -> ResilienceConfiguration:
    """``load`` without a file."""
    return load(None, environ)


def _parts() -> dict[str, type[Any]]:
    hints = typing.get_type_hints(ResilienceConfiguration)
    return {field.name: hints[field.name] for field in attrs.fields(ResilienceConfiguration)}


def _of_file(file: Path) -> _Values:
    try:
        with file.open("rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from error
    except ValueError:  # the one thing that is TOML and that Python does not read
        digits = sys.get_int_max_str_digits()
        raise ConfigurationError(f"{file} has a number of more than {digits} digits, more than are read") from None
    table = _ours(document)
    if not isinstance(table, dict):
        raise ConfigurationError(f"{file}: resilience must be a table of tables, got {table!r}")
    parts = _parts()
    values: _Values = {}
    for part, fields in table.items():
        if part not in parts:
            raise ConfigurationError(f"{file}: unknown table [{part}]; the tables are {', '.join(parts)}")
        if not isinstance(fields, dict):
            raise ConfigurationError(f"{file}: {part} must be a table of settings, got {fields!r}")
        for name, value in fields.items():
            _check_field(parts[part], name, f"{file}: [{part}] {name}")
            values.setdefault(part, {})[name] = (value, f"{file}: [{part}] {name}")
    return values


def _ours(document: dict[str, Any]) -> Any:
    for path in (("tool", "scorewise", "resilience"), ("resilience",)):
        table: Any = document
        for name in path:
            table = table.get(name) if isinstance(table, dict) else None
        if table is not None:  # an empty one is ours, too
            return table
    return document


def _of_environment(environ: Mapping[str, str]) -> _Values:
    parts = _parts()
    values: _Values = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        part, _, name = variable.removeprefix(PREFIX).lower().partition("_")
        if part not in parts:
            names = ", ".join(f"{PREFIX}{known.upper()}_..." for known in parts)
            raise ConfigurationError(f"{variable}: there is no such setting; they begin with {names}")
        _check_field(parts[part], name, variable)
        values.setdefault(part, {})[name] = (_read(parts[part], name, environ[variable], variable), variable)
    return values


def _check_field(part: type[Any], name: str, where: str) -> None:
    known = [field.name for field in attrs.fields(part)]
    if name not in known:
        raise ConfigurationError(f"{where}: there is no such setting; {part.__name__} has {', '.join(known)}")


def _read(part: type[Any], name: str, text: str, variable: str) -> Any:
    kind = typing.get_type_hints(part)[name]
    if kind is bool:
        if text.strip().lower() not in _WORDS:
            raise ConfigurationError(f"{variable} must be true or false, got {text!r}")
        return _WORDS[text.strip().lower()]
    if kind in (int, float):
        try:
            number = float(text)
        except ValueError:
            raise ConfigurationError(f"{variable} must be a number, got {text!r}") from None
        return int(number) if number.is_integer() else number
    return text


def _built(values: _Values) -> ResilienceConfiguration:
    made: dict[str, Any] = {}
    for part, kind in _parts().items():
        fields = values.get(part, {})
        for name, (value, where) in fields.items():
            try:  # each alone first: so that the error can say where it stands
                kind(**{name: value})
            except ConfigurationError as error:
                raise ConfigurationError(f"{where}: {error}") from None
        made[part] = kind(**{name: value for name, (value, _) in fields.items()})
    return ResilienceConfiguration(**made)
