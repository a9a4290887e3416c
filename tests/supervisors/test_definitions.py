"""A class of actors that cannot work is refused where it is defined."""

import functools
import math

import pytest

from supervisors import AsyncActor, Ladder, Supervisor, ThreadActor

SETTINGS = [
    ("last_hook_limit", (None, "5", -1, math.nan, True), "a number of seconds of at least 0"),
    ("link_ladder", (None, 5.0, Ladder), "a Ladder"),
    ("stash_limit", (None, -1, 1.5, True), "a whole number of at least 0"),
]


@pytest.mark.parametrize("base", [ThreadActor, AsyncActor, Supervisor])
@pytest.mark.parametrize(("name", "values", "complaint"), SETTINGS, ids=[name for name, _, _ in SETTINGS])
def test_settings_are_checked_with_the_class(base, name, values, complaint):
    """They are needed when an actor ends, and would cost its last hook."""
    for value in values:
        with pytest.raises(ValueError, match=rf"^Shop\.{name} must be {complaint}, got"):
            type("Shop", (base,), {name: value})


def test_settings_may_be_properties():
    """Those of each actor are its own."""

    class Shop(ThreadActor):
        last_hook_limit = math.inf
        stash_limit = property(lambda _self: 5)

    assert Shop().stash_limit == 5


@pytest.mark.parametrize("hook", ["on_start", "on_receive", "on_signal", "on_stop", "on_failure", "release"])
def test_hooks_of_threads_are_plain_functions(hook):
    """Nobody awaits what a coroutine function makes there: the start would be no start, the answer a coroutine."""

    async def run(*_):
        pass

    with pytest.raises(ValueError, match=rf"^Shop\.{hook} is a coroutine function, .* plain one"):
        type("Shop", (ThreadActor,), {hook: run})
    assert type("Shop", (ThreadActor,), {hook: lambda *_: None})


@pytest.mark.parametrize(
    ("hook", "instead"), [("on_start", "set_up"), ("on_stop", "tear_down"), ("on_failure", "tear_down")]
)
def test_hooks_that_are_never_called_are_refused(hook, instead):
    """Those of Pykka, which an async actor does not have."""
    with pytest.raises(ValueError, match=rf"^Shop\.{hook} is never called: .* async def {instead}"):
        type("Shop", (AsyncActor,), {hook: lambda *_: None})


def test_only_release_must_be_plain_in_an_async_actor():
    """Its killer calls that; all else may be a coroutine function."""

    async def run(*_):
        pass

    with pytest.raises(ValueError, match=r"^Shop\.release is a coroutine function, .* make it a plain one$"):
        type("Shop", (AsyncActor,), {"release": run})
    hooks = dict.fromkeys(("set_up", "tear_down", "on_receive", "on_signal"), run)
    assert type("Shop", (AsyncActor,), hooks | {"release": functools.partialmethod(print)})
