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
