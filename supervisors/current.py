"""Whose code is running: an actor's, in its thread or in a task that it began."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisors.actor import Actor

current: "ContextVar[Actor | None]" = ContextVar("supervisors_current_actor", default=None)


def current_actor() -> "Actor | None":
    """The actor whose code is running, in this thread or task; None outside of actors."""
    return current.get()
