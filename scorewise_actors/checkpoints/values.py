"""Values as JSON with type tags: what comes back is what went in, of the same type, or there is an error.

A value that JSON has no exact form for becomes `{"$": tag, "v": content}`; so does a dict that has the key "$" or a key
that is not a string. Types are compared exactly: a subclass is another type. Nothing is imported by name on load, and
no tag runs anything but the constructor that this process has registered for it.
"""

import base64
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import attrs

from scorewise_actors.checkpoints.errors import CheckpointNotSerializable, CheckpointUndecodable

T = TypeVar("T")

MAX_DEPTH = 200
"""Levels of nesting. A tagged level takes up to three in JSON, and the parser counts towards the recursion limit."""

_BIG = 1 << 2000  # 603 digits: below the lowest limit that Python allows to be set for int <-> str
_ATOMS = frozenset({str, bool, type(None)})


@attrs.frozen
class _Tag:
    """How one type is taken apart (into values that have a form themselves) and built again."""

    name: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


class _Refused(Exception):  # noqa: N818 - a signal inside this module
    """Some value has no form; which one is searched for afterwards, so that the common case pays nothing."""


def encode(value: object, *, at: str = "$") -> bytes:
    """`value` as UTF-8 JSON in one line.

    `at` is the path of `value` for error messages. Raises CheckpointNotSerializable naming the path of the first part
    without a form: unknown class, reference to itself, more than MAX_DEPTH levels.
    """
    return dumps(lower(value, at=at))


def decode(data: bytes) -> Any:
    """The value that `encode` was given.

    Raises CheckpointUndecodable for a tag that this process has not registered, ValueError for what is not JSON.
    """
    text = data.decode("utf-8", "surrogatepass")
    return json.loads(text, object_hook=_untag) if '"$"' in text else json.loads(text)


def register(
    cls: type[T], name: str, *, dump: Callable[[T], Any] | None = None, load: Callable[[Any], T] | None = None
) -> type[T]:
    """Gives `cls` a form under `name`; returns `cls`.

    Enums are written by member name, flags by value, attrs classes by their fields; for any other class give `dump`
    (into values that have a form) and `load`. The name goes to the file, so it must outlive renames of the class.
    Raises ValueError when the name or the class is taken, or the class cannot be rebuilt. Register at import time,
    before a store is read.
    """
    if not name or name.startswith("@"):
        raise ValueError(f"name: expected a non-empty name that does not start with '@', got {name!r}")
    tag = _Tag(f"@{name}", *_form(cls, dump, load))
    known = _BY_TYPE.get(cls)
    if known is not None and known.name != tag.name:
        raise ValueError(f"cls: {cls.__qualname__} already has the form {known.name!r}")
    owner = next((owner for owner, other in _BY_TYPE.items() if other.name == tag.name), cls)
    if owner is not cls:
        raise ValueError(f"name: {name!r} is taken by {owner.__qualname__}; choose another")
    _BY_TYPE[cls] = tag
    _BY_NAME[tag.name] = tag
    return cls


def lower(value: object, *, at: str = "$", depth: int = MAX_DEPTH) -> Any:
    """`value` in terms of what JSON has: a new structure that shares only immutable leaves with `value`.

    `depth` is how many levels it may have. Raises CheckpointNotSerializable.
    """
    try:
        return _lower(value, depth)
    except _Refused:
        _blame(value, at, depth)


def dumps(lowered: object) -> bytes:
    """JSON bytes, without a newline in them, of what `lower` returned."""
    return _ENCODER.encode(lowered).encode("utf-8", "surrogatepass")


def step(key: object) -> str:
    """One step of a path as it is written in messages: `.name`, `[3]`, `["two words"]`."""
    if type(key) is str:
        return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
    return f"[{_shown(key)}]"


def _lower(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is int:
        return value if -_BIG < value < _BIG else {"$": "int", "v": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
    if depth <= 0:
        raise _Refused
    depth -= 1
    if kind is list:
        return [item if type(item) in _ATOMS else _lower(item, depth) for item in value]
    if kind is dict:
        for key in value:
            if type(key) is not str or key == "$":
                return {"$": "dict", "v": [[_lower(k, depth), _lower(v, depth)] for k, v in value.items()]}
        return {key: item if type(item) in _ATOMS else _lower(item, depth) for key, item in value.items()}
    tag = _BY_TYPE.get(kind)
    if tag is None:
        raise _Refused
    return {"$": tag.name, "v": _lower(tag.dump(value), depth)}


def _untag(plain: dict[str, Any]) -> Any:
    if "$" not in plain:
        return plain
    name = plain["$"]
    tag = _BY_NAME.get(name)
    if tag is None:
        raise CheckpointUndecodable(name, "no class is registered under this name here; register it before opening")
    try:
        return tag.load(plain["v"])
    except Exception as error:
        raise CheckpointUndecodable(name, f"{type(error).__name__}: {error}") from error


def _blame(value: Any, at: str, depth: int) -> NoReturn:
    """Finds the first part of `value` that was refused and raises the error that names it."""
    above: list[Any] = []
    while True:
        if any(value is other for other in above):
            raise CheckpointNotSerializable(at, type(value), "it refers to itself; store an id instead")
        if depth <= 0:
            raise CheckpointNotSerializable(
                at[:200], type(value), f"it lies deeper than {MAX_DEPTH} levels; flatten it"
            )
        for name, part, levels in _parts(value):
            try:
                _lower(part, depth - levels)
            except _Refused:
                above.append(value)
                value, at, depth = part, at + name, depth - levels
                break
        else:
            raise CheckpointNotSerializable(at, type(value))


def _parts(value: Any) -> Iterator[tuple[str, Any, int]]:
    """The parts of a container: step of the path, part, levels below `value` as `_lower` counts them."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            yield f" (key {_shown(key)})", key, 1
            yield step(key), item, 1
    elif kind is list:
        for index, item in enumerate(value):
            yield f"[{index}]", item, 1
    elif kind in _BY_TYPE:
        for name, part, levels in _parts(_BY_TYPE[kind].dump(value)):
            yield name, part, levels + 1


def _shown(key: Any) -> str:
    return hex(key)[:60] if type(key) is int and abs(key) >= _BIG else repr(key)[:60]


def _form(
    cls: type, dump: Callable[[Any], Any] | None, load: Callable[[Any], Any] | None
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    if (dump is None) != (load is None):
        raise ValueError(f"dump, load: give both or neither for {cls.__qualname__}")
    if dump is not None and load is not None:
        return dump, load
    if issubclass(cls, enum.Flag):
        return lambda member: member.value, cls
    if issubclass(cls, enum.Enum):
        return lambda member: member.name, cls.__getitem__
    if attrs.has(cls):
        fields = attrs.fields(cls)
        if computed := [field.name for field in fields if not field.init]:
            raise ValueError(f"cls: {cls.__qualname__} has fields that its constructor does not take: {computed}")
        return (
            lambda value: {field.alias: getattr(value, field.name) for field in fields},
            lambda content: cls(**content),
        )
    raise ValueError(f"cls: {cls.__qualname__} is neither an enum nor an attrs class; give dump and load")


def _dump_zone(zone: dt.tzinfo | None) -> Any:
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        offset = zone.utcoffset(None)
        return [offset // dt.timedelta(microseconds=1), zone.tzname(None)]
    if type(zone) is zoneinfo.ZoneInfo and zone.key is not None:
        return zone.key
    return zone  # has no form: refused, and named by its path


def _load_zone(content: Any) -> dt.tzinfo | None:
    if content is None:
        return None
    if isinstance(content, str):
        return zoneinfo.ZoneInfo(content)
    offset, name = dt.timedelta(microseconds=content[0]), content[1]
    zone = dt.timezone(offset)  # for no offset this is the very object dt.UTC, which callers may compare with `is`
    return zone if zone.tzname(None) == name else dt.timezone(offset, name)


def _dump_moment(moment: dt.datetime | dt.time) -> Any:
    return [moment.replace(tzinfo=None).isoformat(), moment.fold, _dump_zone(moment.tzinfo)]


def _load_datetime(content: Any) -> dt.datetime:
    text, fold, zone = content
    return dt.datetime.fromisoformat(text).replace(fold=fold, tzinfo=_load_zone(zone))


def _load_time(content: Any) -> dt.time:
    text, fold, zone = content
    return dt.time.fromisoformat(text).replace(fold=fold, tzinfo=_load_zone(zone))


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)

_BY_TYPE: dict[type, _Tag] = {
    tuple: _Tag("tuple", list, tuple),
    set: _Tag("set", list, set),
    frozenset: _Tag("frozenset", list, frozenset),
    bytes: _Tag("bytes", lambda v: base64.b64encode(v).decode("ascii"), base64.b64decode),
    complex: _Tag("complex", lambda v: [v.real, v.imag], lambda c: complex(*c)),
    dt.datetime: _Tag("datetime", _dump_moment, _load_datetime),
    dt.date: _Tag("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: _Tag("time", _dump_moment, _load_time),
    dt.timedelta: _Tag("timedelta", lambda v: [v.days, v.seconds, v.microseconds], lambda c: dt.timedelta(*c)),
    decimal.Decimal: _Tag("decimal", str, decimal.Decimal),
    uuid.UUID: _Tag("uuid", str, uuid.UUID),
    pathlib.PosixPath: _Tag("path", str, pathlib.PosixPath),
}

_BY_NAME: dict[str, _Tag] = {
    **{tag.name: tag for tag in _BY_TYPE.values()},
    "int": _Tag("int", hex, lambda text: int(text, 16)),
    "float": _Tag("float", repr, float),
    "dict": _Tag("dict", list, dict),
}
