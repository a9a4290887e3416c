"""Texts of foreign values: bounded, and there whatever the value's own text does."""

import pytest

from policies.exception_facts import facts_of, message_of
from policies.short_text import Interruption, said, short_text


class NoException(BaseException):
    """As SystemExit, but a failing test that meets it can be told."""


class Mute(Exception):
    """Whatever it is asked for, it raises its argument."""

    def __repr__(self):
        raise self.args[0]

    __str__ = __repr__

    @property
    def message(self):
        raise self.args[0]

    headers = message


@pytest.mark.parametrize("value", ["x" * 500, list(range(500)), {"k": "v" * 500}, [[[[[[1]]]]]], 10**400, b"y" * 500])
def test_text_is_never_longer_than_it_may_be(value):
    """Whatever it is of; and what was cut can be told."""
    text = short_text(value, 50)
    assert len(text) <= 50
    assert "..." in text or text.endswith("…")


@pytest.mark.parametrize("value", ["x", 7, b"y", [1, (2,)], {"a": {"b": None}}, ValueError("no")])
def test_what_is_short_is_shown_as_python_does(value):
    """Nothing is cut or added."""
    assert short_text(value) == repr(value)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, NoException])
def test_what_cannot_be_read_has_a_stand_in(error):
    """Whatever its text raises; in a container only that element is missing."""
    name = f"<Mute: its text cannot be read, {error.__name__}>"
    assert short_text(Mute(error)) == name
    assert short_text([1, {"a": Mute(error)}]) == f"[1, {{'a': {name}}}]"
    assert said(Mute(error)) == message_of(Mute(error)) == "its text cannot be read"
    assert said(Mute(error), "nothing") == "nothing"
    assert (facts_of(Mute(error))["message"], facts_of(Mute(error))["headers"]) == ("its text cannot be read", {})


def test_numbers_that_python_writes_out_for_nobody_have_a_stand_in():
    """It refuses some thousand digits."""
    assert short_text([10**5000]) == "[<int: its text cannot be read, ValueError>]"


@pytest.mark.parametrize("look", [short_text, lambda value: short_text([value]), said, message_of, facts_of])
def test_an_interruption_passes(look):
    """It was raised into the code that looks, and is not the value's."""

    class Kill(Interruption):
        pass

    with pytest.raises(Kill):
        look(Mute(Kill()))


def test_an_interruption_in_the_headers_passes():
    """They are read after all else."""

    class Headers:
        def items(self):
            raise Interruption

    class Answer(Exception):
        headers = Headers()

    with pytest.raises(Interruption):
        facts_of(Answer())
