"""An event loop in a thread of its own, which ends with the last actor that lives on it."""

import asyncio
import contextlib
import contextvars
import threading
import weakref
from types import FrameType
from typing import TYPE_CHECKING, Any

from loguru import logger

from policies import validation
from policies.short_text import short_text
from supervisors.confinement import make_task
from supervisors.threads import format_frames, frames_and_runner, raise_in_frame

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.future import ReplyFuture

_TASKS_GET = 2.0
"""Seconds that left-over tasks are given to end once the last actor is gone."""

_CLOSINGS = 3
"""How often a task that swallows its cancellation is ended in mid-await: an abandoned actor has a last hook to go."""


class LoopThread:
    """Owns one event loop. Async actors attach to it; when the last one has detached, tasks left over are cancelled,
    the loop is closed and the thread ends. So a driver's successor never meets the loop of its predecessor. The same
    happens when none has attached and nobody refers to this any more: a start function may fail after it has made one.

    Nothing else ends it: neither ``loop.stop()`` in a handler nor a ``SystemExit`` in a foreign task. ``name`` is for
    people who look at threads; ``ValueError`` for what is no text.
    """

    def __init__(self, name: str) -> None:
        validation.require_instance("LoopThread.name", name, str)
        self.name = name
        self.blocked_on: ReplyFuture | None = None
        """The answer for which code on this loop blocks the thread, and with it all actors of the loop."""
        self.coroutines: dict[Any, Actor] = {}
        """The coroutines of actors in this thread, until they end, and whose code runs in each."""
        self.loop = asyncio.new_event_loop()
        self.loop.set_task_factory(make_task)
        self._turning = _Turning(self.loop, name)
        self._actors = self._turning.actors
        self._ending = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._turning.run, name=name, daemon=True)
        weakref.finalize(self, self._turning.end).atexit = False
        try:
            self._thread.start()
        except RuntimeError:  # no thread to be had: give the loop's file descriptors back
            self.loop.close()
            raise

    @property
    def ident(self) -> int | None:
        """The thread's id."""
        return self._thread.ident

    def is_alive(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end. True if it came within ``timeout`` seconds. ``ValueError`` for what is no time."""
        if timeout is not None:
            validation.require_duration("LoopThread.join: timeout", timeout, endless=True)
            timeout = min(timeout, threading.TIMEOUT_MAX)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def attach(self, actor: "Actor") -> None:
        """An actor moves in. Any thread. ``RuntimeError`` once the last one has moved out."""
        with self._lock:
            if self._ending:
                raise RuntimeError(f"the event loop {self.name} has ended with its last actor: start on a new one")
            self._actors.add(actor)

    def detach(self, actor: "Actor") -> None:
        """An actor has ended. Any thread."""
        with self._lock:
            self._actors.discard(actor)
            if self._actors or self._ending:
                return
            self._ending = True
        self._turning.end()

    def actors(self) -> "tuple[Actor, ...]":
        """Those that live here now."""
        with self._lock:
            return tuple(self._actors)

    def stack(self) -> str:
        """What the loop's thread does now, as a formatted stack."""
        return format_frames(self.look()[0])

    def look(self) -> "tuple[list[FrameType], Actor | None]":
        """The frames of the loop's thread, innermost first, and the actor whose code runs in them, if any does.
        No frames once it has ended. Any thread; a snapshot.
        """
        return frames_and_runner(self._thread, self.coroutines)

    def interrupt(self, frame: FrameType) -> bool:
        """Raise ``Killed`` in this frame, if it is still the innermost one of the loop's thread. False if not."""
        return self.ident is not None and raise_in_frame(self.ident, frame)

    def cancel(self, task: "asyncio.Task[None]") -> None:
        """Cancel a task of this loop, whoever asks for it. Any thread; ``RuntimeError`` once the loop is closed."""
        self.loop.call_soon_threadsafe(task.cancel, context=contextvars.Context())


class _Turning:
    """What the thread does. It knows those who live on the loop, and not the ``LoopThread`` itself: when nobody does
    any more, that is gone, and this ends.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.actors: set[Actor] = set()
        self._loop = loop
        self._name = name
        self._stopped = False

    def end(self) -> None:
        """Cancel what is left on the loop, close it, and let the thread end. Any thread, also more than once."""
        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._stopped = True
        self._loop.stop()

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._stopped:
            try:
                self._loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - a task's SystemExit must not take its neighbours along
                logger.opt(exception=error).debug("event loop {} goes on after {}", self._name, short_text(error))
        try:
            self._end_tasks()
        except BaseException as error:  # noqa: BLE001 - whatever a left-over task raises, the loop is closed
            text = short_text(error)
            logger.opt(exception=error).error("event loop {}: left-over tasks did not end well: {}", self._name, text)
        finally:
            self._loop.close()

    def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = self._loop.run_until_complete(asyncio.wait(tasks, timeout=_TASKS_GET))
            for task in stuck:
                text = short_text(task)
                logger.error("event loop {} ends, although {} swallows its cancellation", self._name, text)
                _close(task.get_coro())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


def _close(coroutine: Any) -> None:
    """End a coroutine that no loop will run any more. It may catch even that, and await something else."""
    for _ in range(_CLOSINGS):
        try:
            coroutine.close()
        except RuntimeError:  # it did
            continue
        except BaseException as error:  # noqa: BLE001 - whatever it raises at its end, the loop ends as well
            text = short_text(error)
            logger.opt(exception=error).debug("a coroutine that swallowed its cancellation ended with {}", text)
        return
