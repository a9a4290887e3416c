"""Validators for fields of policies, states and settings, and for arguments: an error names the field, the value and
what is allowed.

Python accepts ``True`` as a number and lets NaN pass every comparison that is written the wrong way round. A policy
built from a configuration file must not, so numbers are checked in one place and only here. `error` is the class that
is raised, for packages whose users expect one of their own.
"""

import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from policies.short_text import short_text

if TYPE_CHECKING:
    import attrs

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]
"""What attrs calls with the instance, the field and the value."""

CLOCK_LIMIT = 1e15
"""Largest clock reading (seconds) a state may hold, in either direction: beyond it floats lose the milliseconds."""

LONGEST_WAIT = 1e9
"""Seconds, some 30 years: threads cannot wait for much longer."""

_LARGEST = math.nextafter(math.inf, 0.0)
"""The largest finite float. A larger int is a finite number as well, but nobody can count on with it."""


def wrong(name: str, allowed: str, value: object, error: type[ValueError] = ValueError) -> ValueError:
    """The `error` to raise for a `value` that is not what is `allowed`. `name` is how the error calls it."""
    return error(f"{name} must be {allowed}, got {short_text(value)}")


def is_number(value: object, low: float, high: float) -> bool:
    """Whether `value` is an int or float, not a bool or NaN, with ``low <= value <= high``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def require_number(name: str, value: object, low: float, high: float) -> None:
    """Raise `ValueError` unless `value` is a finite number from `low` to `high`. `name` is how the error calls it."""
    if not is_number(value, low, high):
        raise wrong(name, f"a finite number from {low:g} to {high:g}", value)


def require_integer(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raise `ValueError` unless `value` is an int (no bool) from `low` to `high`. `name` is how the error calls it."""
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    if not isinstance(value, int) or not is_number(value, low, math.inf if high is None else high):
        raise wrong(name, f"a whole number {allowed}", value)


def require_duration(name: str, value: object, low: float = 0.0, *, endless: bool = False) -> None:
    """Raise `ValueError` unless `value` is a finite number of seconds of at least `low`; where `endless`, infinity is
    one, too. `name` is how the error calls it.
    """
    if not is_number(value, low, _LARGEST) and not (endless and value == math.inf):
        word = "a number" if endless else "a finite number"
        raise wrong(name, f"{word} of seconds of at least {low:g}", value)


def require_instance(
    name: str, value: object, kind: type, *, optional: bool = False, error: type[ValueError] = ValueError
) -> None:
    """Raise `error` unless `value` is a `kind`, or None where `optional`. `name` is how the error calls it."""
    if not isinstance(value, kind) and not (optional and value is None):
        none = " or None" if optional else ""
        raise wrong(name, f"{_an(kind)}{none}", value, error)


def require_function(name: str, value: object, *, optional: bool = False) -> None:
    """Raise `ValueError` unless `value` can be called, or is None where `optional`. `name` as for the others."""
    if not callable(value) and not (optional and value is None):
        raise wrong(name, f"callable{' or None' if optional else ''}", value)


def number(low: float, high: float, *, optional: bool = False) -> Validator:
    """An attrs validator: a finite number from `low` to `high`, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if type(value) is float and low <= value <= high:  # nearly always: states are made anew at every step
            return
        if not (optional and value is None):
            require_number(_field(instance, attribute), value, low, high)

    return check


def seconds(*, error: type[ValueError] = ValueError) -> Validator:
    """An attrs validator: a finite number of seconds above 0, and at most `LONGEST_WAIT`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not is_number(value, 0, LONGEST_WAIT) or value == 0:
            allowed = f"a finite number of seconds above 0, at most {LONGEST_WAIT:.0f}"
            raise wrong(_field(instance, attribute), allowed, value, error)

    return check


def duration(*, endless: bool = False) -> Validator:
    """An attrs validator: a finite number of seconds of at least 0; where `endless`, also infinity."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        require_duration(_field(instance, attribute), value, endless=endless)

    return check


def integer(
    low: int, high: int | None = None, *, optional: bool = False, error: type[ValueError] = ValueError
) -> Validator:
    """An attrs validator: an int (no bool) from `low` to `high`, without an upper end if that is None; or None where
    `optional`.
    """
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    highest = math.inf if high is None else high

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if type(value) is int and low <= value <= highest:  # nearly always
            return
        if optional and value is None:
            return
        if not isinstance(value, int) or not is_number(value, low, highest):
            raise wrong(_field(instance, attribute), f"a whole number {allowed}", value, error)

    return check


def each(*, of: Validator) -> Validator:
    """An attrs validator: a tuple, every item of which passes the validator `of`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, tuple):
            raise wrong(_field(instance, attribute), "a tuple", value)
        for item in value:
            of(instance, attribute, item)

    return check


def text(low: int, high: int, *, optional: bool = False) -> Validator:
    """An attrs validator: a string of `low` to `high` characters, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if optional and value is None:
            return
        if not isinstance(value, str) or not low <= len(value) <= high:
            raise wrong(_field(instance, attribute), f"a string of {low} to {high} characters", value)

    return check


def member(kind: type[Enum]) -> Validator:
    """An attrs validator: a member of the enum `kind`; the error lists the members."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):
            names = ", ".join(f"{kind.__name__}.{item.name}" for item in kind)
            raise wrong(_field(instance, attribute), f"one of {names}", value)

    return check


def instance_of(kind: type, *, optional: bool = False, error: type[ValueError] = ValueError) -> Validator:
    """An attrs validator: a `kind`, or None where `optional`. Unlike attrs' own it raises the one class of error that
    all fields raise.
    """

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind):  # seldom: values are made more often than errors
            require_instance(_field(instance, attribute), value, kind, optional=optional, error=error)

    return check


def function(*, optional: bool = False) -> Validator:
    """An attrs validator: something that can be called, or None where `optional`."""

    def check(instance: Any, attribute: "attrs.Attribute[Any]", value: object) -> None:
        require_function(_field(instance, attribute), value, optional=optional)

    return check


def _field(instance: Any, attribute: "attrs.Attribute[Any]") -> str:
    return f"{type(instance).__name__}.{attribute.name}"


def _an(kind: type) -> str:
    """The name of a class, with its article."""
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"
