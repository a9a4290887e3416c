"""Frozen values that travel as JSON: what a checkpoint keeps of a policy's state."""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar, Self, cast

import attrs


class JsonValue:
    """Base of frozen attrs classes with a plain form.

    Plain are dicts with string keys, lists, strings, numbers, booleans and None. A subclass whose field is not plain
    (an enum, a tuple, another value) names the way back in `decoders`. Reading is strict: an unknown field is an error,
    since a state half understood would decide wrongly.
    """

    __slots__ = ()

    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """Field name → function from the plain form to the field's value; fields not listed are taken as they are."""

    def to_json(self) -> dict[str, Any]:
        """The plain form: a new dict of every field that `json.dumps` accepts."""
        return {name: _plain(getattr(self, name)) for name in _field_names(type(self))}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The value whose `to_json` is `data`; absent fields take their defaults.

        Raises `ValueError` naming the class and field for anything that is not a mapping, an unknown field or a value
        that the field's validator refuses.
        """
        if not isinstance(data, Mapping):
            message = f"{cls.__name__} must be read from a mapping of its fields, got {data!r}"
            raise ValueError(message)  # noqa: TRY004 - unreadable data is one kind of error, whatever is wrong with it
        known = _field_names(cls)
        unknown = sorted(str(name) for name in data if name not in known)
        if unknown:
            raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}; its fields are {', '.join(known)}")
        return cls(**{name: cls._decoded(name, value) for name, value in data.items()})

    @classmethod
    def _decoded(cls, name: str, value: object) -> Any:
        decode = cls.decoders.get(name)
        if decode is None:
            return value
        try:
            return decode(value)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(f"{cls.__name__}.{name} cannot be read from {value!r}: {error}") from error


def optional(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A decoder that lets None through and gives everything else to `decode`."""

    def decode_or_none(value: object) -> Any:
        return None if value is None else decode(value)

    return decode_or_none


def _field_names(cls: type[JsonValue]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cast("type[attrs.AttrsInstance]", cls)))


def _plain(value: Any) -> Any:
    if isinstance(value, JsonValue):
        return value.to_json()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, range):
        return [value.start, value.stop]
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
