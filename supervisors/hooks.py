"""Functions of the user that a supervisor calls when something happens to a child."""

from collections.abc import Callable
from typing import Any

import attrs
from loguru import logger

from policies import validation
from policies.short_text import short_text
from supervisors.events import Ended, Event, Restarting, Started
from supervisors.exits import Killed

_callable = validation.function(optional=True)


@attrs.frozen
class ChildHooks:
    """What to call in the life of one child, in this order: started, terminated, restarting, restarted.

    All run in the supervisor's thread or on its loop, so they must be quick: pass the news on, do not wait for
    anything. One that raises is logged and changes nothing.
    """

    started: Callable[[Started], object] | None = attrs.field(default=None, validator=_callable)
    """It is up for the first time since its supervisor started."""
    terminated: Callable[[Ended], object] | None = attrs.field(default=None, validator=_callable)
    """An incarnation that was up ended, by itself or because it was stopped (``expected``)."""
    restarting: Callable[[Restarting], object] | None = attrs.field(default=None, validator=_callable)
    """It failed and is to be restarted, after ``delay`` seconds, together with ``group``; also after each refused
    restart. Not called for those that the restart of another one takes along.
    """
    restarted: Callable[[Started], object] | None = attrs.field(default=None, validator=_callable)
    """It is up again: after a failure, with its group, or by request."""


def run_hook(hook: Callable[[Any], object] | None, event: Event) -> None:
    """Call a hook, if there is one. What it raises is logged, unless it was meant for the supervisor itself."""
    if hook is None:
        return
    try:
        hook(event)
    except Killed:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code: also a SystemExit of it must not end the supervisor
        logger.opt(exception=error).error("a hook failed on {}: {}", event.kind, short_text(error))
