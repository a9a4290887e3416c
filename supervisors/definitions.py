"""What can be wrong with the class of an actor. It is found when the class is defined, not in the actor's last hour."""

import functools
import inspect
from collections.abc import Callable

from policies import validation
from supervisors.spec import Ladder

_SETTINGS: dict[str, Callable[[str, object], None]] = {
    "last_hook_limit": functools.partial(validation.require_duration, endless=True),
    "link_ladder": functools.partial(validation.require_instance, kind=Ladder),
    "stash_limit": functools.partial(validation.require_integer, low=0),
}
"""Class attributes by which subclasses are set up, and how each is checked."""


def check_settings(kind: type) -> None:
    """Raise ``ValueError`` for a setting of this class that is none."""
    for name, check in _SETTINGS.items():
        value = vars(kind).get(name)
        if name in vars(kind) and not hasattr(value, "__get__"):  # a property says what it likes
            check(f"{kind.__name__}.{name}", value)


def check_plain(kind: type, hooks: tuple[str, ...]) -> None:
    """Raise ``ValueError`` for a hook of this class that is a coroutine function: nobody would await it."""
    for name in hooks:
        if inspect.iscoroutinefunction(vars(kind).get(name)):
            other = "" if name == "release" else ", or the class an AsyncActor"
            raise ValueError(
                f"{kind.__name__}.{name} is a coroutine function, which nobody awaits: make it a plain one{other}"
            )


def check_called(kind: type, hooks: dict[str, str]) -> None:
    """Raise ``ValueError`` for a hook of this class that is never called. ``hooks``: such names, and what to use."""
    for name, instead in hooks.items():
        if name in vars(kind):
            raise ValueError(f"{kind.__name__}.{name} is never called: an AsyncActor has async def {instead} for it")
