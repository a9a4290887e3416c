"""Whose code is running: an actor's, in its thread or in a task that it began; and on which event loop."""

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisors.actor import Actor

current: "ContextVar[Actor | None]" = ContextVar("supervisors_current_actor", default=None)


def current_actor() -> "Actor | None":
    """The actor whose code is running, in this thread or task; None outside of actors."""
    return current.get()


def runs_on(loop: asyncio.AbstractEventLoop) -> bool:
    """True if this is called on that event loop. Asked of asyncio: the id of a thread that ended may be another's."""
    return asyncio._get_running_loop() is loop
