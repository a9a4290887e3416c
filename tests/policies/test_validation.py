"""The validators: what passes, what does not, how the error reads, and which class it is."""

import enum
import http
import math

import attrs
import pytest

from policies import validation


class Colour(enum.Enum):
    """Two members."""

    RED = 1
    BLUE = 2


class OwnError(ValueError):
    """What another package raises."""


@attrs.frozen
class Settings:
    """One field for each validator."""

    share: object = attrs.field(default=0.5, validator=validation.number(0, 1))
    wait: object = attrs.field(default=1.0, validator=validation.seconds(error=OwnError))
    count: object = attrs.field(default=1, validator=validation.integer(1, 9, error=OwnError))
    at_least: object = attrs.field(default=1, validator=validation.integer(1))
    perhaps: object = attrs.field(default=None, validator=validation.integer(0, 9, optional=True))
    colour: object = attrs.field(default=Colour.RED, validator=validation.member(Colour))
    text: object = attrs.field(default="", validator=validation.instance_of(str, error=OwnError))


@pytest.mark.parametrize(
    "settings",
    [
        {"share": 0},
        {"share": 1.0},
        {"wait": 1e-9},
        {"wait": 1e9},
        {"count": 9},
        {"at_least": http.HTTPStatus.OK},
        {"at_least": 10**30},
        {"perhaps": 0},
        {"perhaps": None},
        {"colour": Colour.BLUE},
    ],
)
def test_the_ends_of_a_range_are_in_it(settings):
    """And None where it is allowed."""
    assert Settings(**settings)


@pytest.mark.parametrize(
    ("field", "values", "message", "error"),
    [
        ("share", (-0.1, 1.1, math.nan, True, "1", None), "a finite number from 0 to 1", ValueError),
        (
            "wait",
            (0, 0.0, -1, 1e9 + 1, 10**400, math.inf, math.nan, True, "1", None),
            "of seconds above 0",
            OwnError,
        ),
        ("count", (0, 10, 1.0, True, math.nan, "1", None), "a whole number from 1 to 9", OwnError),
        ("at_least", (0, -1, 2.0, True, math.inf, None), "a whole number of at least 1", ValueError),
        ("perhaps", (-1, 10, False), "a whole number from 0 to 9", ValueError),
        ("colour", (1, "RED", None), "one of Colour.RED, Colour.BLUE", ValueError),
        ("text", (1, b"", None), "a str", OwnError),
    ],
)
def test_what_is_out_of_range_is_named_with_field_value_and_range(field, values, message, error):
    """Booleans, NaN and texts are no numbers."""
    for value in values:
        with pytest.raises(ValueError, match=rf"^Settings\.{field} must be ") as caught:
            Settings(**{field: value})
        assert type(caught.value) is error
        assert message in str(caught.value)
        assert str(caught.value).endswith(f", got {value!r}")


@attrs.frozen
class Patience:
    """The validators of supervisors' fields."""

    limit: object = attrs.field(default=1.0, validator=validation.duration())
    stop: object = attrs.field(default=1.0, validator=validation.duration(endless=True))
    hook: object = attrs.field(default=None, validator=validation.function(optional=True))
    start: object = attrs.field(default=print, validator=validation.function())


@pytest.mark.parametrize("fields", [{"limit": 0}, {"limit": 2.5}, {"stop": math.inf}, {"hook": print}, {"hook": None}])
def test_durations_and_functions_pass(fields):
    """None where it may be, and no end where it may be."""
    Patience(**fields)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"limit": math.inf}, "Patience.limit must be a finite number of seconds of at least 0, got inf"),
        ({"limit": -1}, "Patience.limit must be a finite number of seconds of at least 0, got -1"),
        ({"stop": math.nan}, "Patience.stop must be a number of seconds of at least 0, got nan"),
        ({"stop": True}, "Patience.stop must be a number of seconds of at least 0, got True"),
        ({"hook": 3}, "Patience.hook must be callable or None, got 3"),
        ({"start": None}, "Patience.start must be callable, got None"),
    ],
)
def test_durations_and_functions_are_refused_with_field_and_value(fields, complaint):
    """Each says what would have been right."""
    with pytest.raises(ValueError, match="must be") as caught:
        Patience(**fields)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(("value", "high"), [(1, None), (9, 9)])
def test_whole_numbers_of_arguments_pass(value, high):
    """The ends belong to the range."""
    validation.require_integer("limit", value, 1, high)


@pytest.mark.parametrize(
    ("value", "high", "complaint"),
    [
        (0, None, "limit must be a whole number of at least 1, got 0"),
        (10, 9, "limit must be a whole number from 1 to 9, got 10"),
        (True, None, "limit must be a whole number of at least 1, got True"),
        (1.0, None, "limit must be a whole number of at least 1, got 1.0"),
    ],
)
def test_other_arguments_are_refused(value, high, complaint):
    """No bool, no float, nothing out of range."""
    with pytest.raises(ValueError, match="whole number") as caught:
        validation.require_integer("limit", value, 1, high)
    assert str(caught.value) == complaint


class Silent:
    """A value whose text cannot be read."""

    def __repr__(self):
        raise OSError("no text")


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        (
            lambda: validation.require_duration("wait", -1),
            "wait must be a finite number of seconds of at least 0, got -1",
        ),
        (
            lambda: validation.require_duration("wait", math.inf),
            "wait must be a finite number of seconds of at least 0, got inf",
        ),
        (
            lambda: validation.require_duration("wait", "5", 0.5, endless=True),
            "wait must be a number of seconds of at least 0.5, got '5'",
        ),
        (lambda: validation.require_instance("name", 5, str), "name must be a str, got 5"),
        (lambda: validation.require_instance("name", 5, str, optional=True), "name must be a str or None, got 5"),
        (lambda: validation.require_instance("name", None, str), "name must be a str, got None"),
        (lambda: validation.require_function("hook", 5), "hook must be callable, got 5"),
        (lambda: validation.require_function("hook", 5, optional=True), "hook must be callable or None, got 5"),
        (lambda: validation.require_function("hook", None), "hook must be callable, got None"),
        (
            lambda: validation.require_duration("wait", 10**5000),
            "wait must be a finite number of seconds of at least 0, got <int: its text cannot be read, ValueError>",
        ),
        (
            lambda: validation.require_instance("name", Silent(), str),
            "name must be a str, got <Silent: its text cannot be read, OSError>",
        ),
    ],
)
def test_arguments_are_refused_with_name_and_value(check, complaint):
    """Also values that have no text: the error is about the argument, and not about that."""
    with pytest.raises(ValueError, match="must be") as caught:
        check()
    assert str(caught.value) == complaint


def test_arguments_that_are_right_pass():
    """None and infinity where they may be."""
    validation.require_duration("wait", 0)
    validation.require_duration("wait", math.inf, endless=True)
    validation.require_instance("name", "a", str)
    validation.require_instance("name", None, str, optional=True)
    validation.require_function("hook", print)
    validation.require_function("hook", None, optional=True)
    with pytest.raises(OwnError):
        validation.require_instance("name", 5, str, error=OwnError)
