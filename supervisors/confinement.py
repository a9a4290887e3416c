"""Foreign code on a shared event loop may cancel its own tasks, and not those that its neighbours live by.

``asyncio.all_tasks()`` shows all tasks of a loop, so ``for task in asyncio.all_tasks(): task.cancel()`` in one handler
would end every actor that lives there, the heartbeats, and the reader of a connection that all of them share. No
exception would say who did it. So the tasks of a ``LoopThread`` know for whom they work, and refuse.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from loguru import logger

T = TypeVar("T")


class ForeignTaskError(RuntimeError):
    """Raised where confined code cancels a task that is not its own. Nothing has happened to the task."""


class Confinement:
    """One piece of foreign work, begun by ``AsyncActor.spawn``. All tasks that it begins belong to it. On the loop
    only, as everything here.
    """

    __slots__ = ("_main", "disturbed_by", "name", "refused")

    def __init__(self, name: str) -> None:
        self.name = name
        """Whose work it is, for messages."""
        self.refused = ""
        """What it tried to do to others, first of all; empty as long as it did not."""
        self.disturbed_by: Confinement | None = None
        """Who else's work cancelled a task that this one made. That is allowed: they may share it on purpose."""
        self._main: asyncio.Task[Any] | None = None
        """The task that it runs as, until that ends; the others are those it made. Nobody else's work cancels it."""

    def culprit(self, error: BaseException) -> "Confinement | None":
        """Whose overreach is to blame for ``error``, which came out of this work; None: nobody's.

        This one's, if it fails by a refusal, or by a cancellation after one: whoever cancels all tasks cancels its own
        as well. Otherwise that of the work which cancelled a task of this one's, if it was refused something too: those
        that share a task on purpose reach for no others.
        """
        if self.refused and isinstance(error, (ForeignTaskError, asyncio.CancelledError)):
            return self
        disturber = self.disturbed_by
        return disturber if disturber is not None and disturber.refused else None

    def _begin(self, main: "asyncio.Task[Any]") -> None:
        self._main = main
        main.add_done_callback(self._end)  # the two would keep each other, and all that the work held

    def _end(self, _: "asyncio.Task[Any]") -> None:
        self._main = None

    def _refuse(self, task: "asyncio.Task[Any]") -> ForeignTaskError:
        text = f"{self.name} tried to cancel {task.get_name()!r}, which is not its own; it may cancel what it began"
        if not self.refused:
            self.refused = text
            logger.error("refused: {}", text)
        return ForeignTaskError(text)


def start(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], name: str, confinement: Confinement | None
) -> "asyncio.Task[T]":
    """Run ``work`` as a task of this ``LoopThread``'s loop, in a copy of the caller's context. It is confined as told;
    with None not at all, whatever the caller is. Called on the loop.
    """
    context = copy_context()
    context.run(_confined.set, confinement)
    task = loop.create_task(work, name=name, context=context)
    if confinement is not None:
        confinement._begin(task)
    return task


_confined: "ContextVar[Confinement | None]" = ContextVar("supervisors_confined", default=None)
"""The work that is going on in this context; None: not confined, as the actors themselves."""

_passed_on: "ContextVar[bool]" = ContextVar("supervisors_cancel_passed_on", default=False)


class LoopTask(asyncio.Task[T]):
    """A task of a ``LoopThread``: asyncio's own, but for who may cancel it."""

    __slots__ = ("confinement",)
    confinement: Confinement | None
    """The work that it belongs to; None: the actors' own, or nobody's."""

    def cancel(self, msg: Any = None) -> bool:
        """As asyncio's. ``ForeignTaskError`` if confined code asks, and the task is not confined or is somebody else's
        main task. False where the cancellation of another task comes here only because that one awaits this.
        """
        by, own = _confined.get(), self.confinement
        if by is not None and by is not own and not self.done():
            if own is None or own._main is self:
                if _passed_on.get():
                    return False
                raise by._refuse(self)
            own.disturbed_by = by
        # what this task awaits is asked to end in its name, whoever began it: gather() of others' tasks passes it on
        work, passed_on = _confined.set(own), _passed_on.set(True)
        try:
            return super().cancel(msg)
        finally:
            _passed_on.reset(passed_on)
            _confined.reset(work)


def make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], /, **options: Any
) -> LoopTask[T]:
    """The task factory of a ``LoopThread``: a task belongs to the work in whose context it is made."""
    task: LoopTask[T] = LoopTask(work, loop=loop, **options)
    context = options.get("context")
    task.confinement = _confined.get() if context is None else context.get(_confined)
    return task
