"""A trace says of an error what Python says of it, and keeps nothing of it alive."""

import gc
import traceback
import weakref

import pytest

from supervisors.exits import ExitKind, ExitReason
from supervisors.trace import Trace


class Pinned:
    """Something in use where the error came from."""


def plain():
    pinned = Pinned()
    raise KeyError("plain", pinned.__class__)


def of_several_lines():
    return [
        None
        if value
        else {
            "a": 1,
        }["b"]
        for value in (0, 1)
    ]


def caused():
    try:
        plain()
    except KeyError as error:
        raise ValueError("caused") from error


def in_the_handler_of_another():
    try:
        plain()
    except KeyError:
        raise ValueError("on top of it")  # noqa: B904


def not_caused():
    try:
        plain()
    except KeyError:
        raise ValueError("alone") from None


def with_notes():
    try:
        plain()
    except KeyError as error:
        error.add_note("first note")
        error.add_note("second\nnote")
        raise


def group():
    errors = []
    for raiser in (plain, caused):
        try:
            raiser()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup("both", errors)


def bad_source():
    compile("a = (1,\nb c", "<source>", "exec")


def misspelt():
    print_it = None
    return print_if or print_it  # noqa: F821


def no_text():
    class NoText(Exception):
        def __str__(self):
            raise RuntimeError("no text for you")

    raise NoText


def endless(depth=0):
    return endless(depth + 1) + 1


def not_an_exception():
    raise SystemExit(3)


RAISERS = (
    plain,
    of_several_lines,
    caused,
    in_the_handler_of_another,
    not_caused,
    with_notes,
    group,
    bad_source,
    misspelt,
    no_text,
    endless,
    not_an_exception,
)


def caught(raiser):
    try:
        raiser()
    except BaseException as error:
        return error
    raise AssertionError(f"{raiser.__name__} raised nothing")


@pytest.mark.parametrize("raiser", RAISERS)
def test_a_trace_reads_like_the_traceback_of_python(raiser):
    """The text is that of ``traceback.format_exception``: lines, marks below them, causes, notes, groups."""
    error = caught(raiser)
    expected = "".join(traceback.format_exception(error))
    assert str(Trace(error)) == expected
    assert ExitReason.of(ExitKind.ERROR, error).traceback == expected


def test_an_error_that_was_never_raised_has_a_trace_too():
    """There is no stack then, only the line of the error itself."""
    assert str(Trace(ValueError("made, not raised"))) == "ValueError: made, not raised\n"


@pytest.mark.parametrize("raiser", [plain, caused, group])
def test_a_reason_keeps_nothing_alive(raiser):
    """What was in use where the error came from is freed while the reason lives on, before its text is read."""
    before = {id(thing) for thing in gc.get_objects() if type(thing) is Pinned}
    error = caught(raiser)
    pinned = [weakref.ref(thing) for thing in gc.get_objects() if type(thing) is Pinned and id(thing) not in before]
    assert pinned
    reason = ExitReason.of(ExitKind.ERROR, error)
    del error
    gc.collect()
    assert [ref() for ref in pinned] == [None] * len(pinned)
    assert "plain" in reason.traceback


def test_reasons_with_the_same_text_are_equal():
    """A reason is a value: two of the same error compare equal, and to one that was made from the text."""
    error = caught(plain)
    reason = ExitReason.of(ExitKind.ERROR, error)
    assert reason == ExitReason.of(ExitKind.ERROR, error)
    assert reason == ExitReason(reason.kind, "", reason.error_type, reason.error_text, reason.traceback)
    assert reason != ExitReason.of(ExitKind.ERROR, caught(plain_elsewhere))


def plain_elsewhere():
    raise KeyError("plain", Pinned)
