"""The JSON form of everything that a handler may push, for results files."""

import base64
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from scorewise_actors.checkpoints.values import lower

_HUGE = 1 << 2000
"""Python refuses to print whole numbers much longer than this."""


def _itself(value: Any) -> Any:
    return value


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


_ATOMS: Mapping[type, Callable[[Any], Any]] = {
    type(None): _itself,
    bool: _itself,
    str: _itself,
    int: lambda value: value if -_HUGE < value < _HUGE else hex(value),
    float: _number,
    complex: lambda value: [_number(value.real), _number(value.imag)],
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.timedelta: dt.timedelta.total_seconds,
    decimal.Decimal: str,
    uuid.UUID: str,
    pathlib.PosixPath: str,
}


def plain(value: Any) -> Any:
    """The JSON form of a result; the same in every process.

    Dates and times in ISO 8601, durations in seconds, bytes in base64, decimals, UUIDs and paths as text, enums by
    name, sets as sorted lists, keys as text, NaN and infinities (which JSON lacks) as null. A registered class gives
    what its registration stores.
    """
    atom = _ATOMS.get(type(value))
    if atom is not None:
        return atom(value)
    match value:
        case list() | tuple():
            return [plain(part) for part in value]
        case Mapping():
            return {key if isinstance(key, str) else str(plain(key)): plain(part) for key, part in value.items()}
        case set() | frozenset():
            return sorted((plain(part) for part in value), key=dumped)
        case enum.Enum():
            return value.name
        case _:
            return lower(value)["v"]


def dumped(value: Any) -> str:
    """A plain value as one line of JSON, in Unicode where UTF-8 can hold it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 cannot hold and an escape can
        return json.dumps(value, separators=(",", ":"))
    return text
