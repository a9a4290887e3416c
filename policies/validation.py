"""Validators for the fields of policies and states: an error names the field, the value and what is allowed.

Python accepts ``True`` as a number and lets NaN pass every comparison that is written the wrong way round. A policy
built from a configuration file must not, so numbers are checked in one place and only here.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import attrs

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]
"""What attrs calls with the instance, the field and the value."""

CLOCK_LIMIT = 1e15
"""Largest clock reading (seconds) a state may hold, in either direction: beyond it floats lose the milliseconds."""


def is_number(value: object, low: float, high: float) -> bool:
    """Whether `value` is an int or float, not a bool or NaN, with ``low <= value <= high``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def require_number(name: str, value: object, low: float, high: float) -> None:
    """Raise `ValueError` unless `value` is a finite number from `low` to `high`. `name` is how the error calls it."""
    if not is_number(value, low, high):
        raise ValueError(f"{name} must be a finite number from {low:g} to {high:g}, got {value!r}")


def number(low: float, high: float, *, optional: bool = False) -> Validator:
    """An attrs validator: a finite number from `low` to `high`, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not (optional and value is None):
            require_number(f"{type(instance).__name__}.{attribute.name}", value, low, high)

    return check


def integer(low: int, high: int, *, optional: bool = False) -> Validator:
    """An attrs validator: an int (no bool) from `low` to `high`, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if optional and value is None:
            return
        if not isinstance(value, int) or not is_number(value, low, high):
            field = f"{type(instance).__name__}.{attribute.name}"
            raise ValueError(f"{field} must be a whole number from {low} to {high}, got {value!r}")

    return check


def instance_of(kind: type, *, optional: bool = False) -> Validator:
    """An attrs validator: an instance of `kind`, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind) and not (optional and value is None):
            field = f"{type(instance).__name__}.{attribute.name}"
            none = " or None" if optional else ""
            raise ValueError(f"{field} must be a {kind.__name__}{none}, got {value!r}")

    return check


def each(*, of: Validator) -> Validator:
    """An attrs validator: a tuple, every item of which passes the validator `of`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, tuple):
            field = f"{type(instance).__name__}.{attribute.name}"
            raise ValueError(f"{field} must be a tuple, got {value!r}")  # noqa: TRY004 - one error type for all fields
        for item in value:
            of(instance, attribute, item)

    return check


def text(low: int, high: int, *, optional: bool = False) -> Validator:
    """An attrs validator: a string of `low` to `high` characters, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if optional and value is None:
            return
        if not isinstance(value, str) or not low <= len(value) <= high:
            field = f"{type(instance).__name__}.{attribute.name}"
            raise ValueError(f"{field} must be a string of {low} to {high} characters, got {value!r}")

    return check


def member(kind: type[Enum]) -> Validator:
    """An attrs validator: a member of the enum `kind`; the error lists the members."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):
            field = f"{type(instance).__name__}.{attribute.name}"
            names = ", ".join(f"{kind.__name__}.{item.name}" for item in kind)
            raise ValueError(f"{field} must be one of {names}, got {value!r}")  # noqa: TRY004 - one error type for all fields

    return check
