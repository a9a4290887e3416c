"""Replies that can be waited for from threads and from event loops alike."""

import _thread
import asyncio
import contextlib
import math
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pykka
from loguru import logger

from policies import validation
from policies.short_text import short_text
from supervisors.ask_cycles import check_wait
from supervisors.current import current, runs_on
from supervisors.exits import Killed

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.ref import Ref

_Answer = tuple[Any, BaseException | None, TracebackType | None]

ASK_TIMEOUT = 5.0
"""Seconds that a blocking ask waits unless told otherwise; never for ever."""

_LONGEST = threading.TIMEOUT_MAX

_SLICE = 0.5
"""Seconds after which a wait of the main thread looks up, to run the handler of a signal that did not wake it."""


class ReplyFuture(pykka.Future[Any]):
    """A Pykka future with done callbacks and an ``await`` that does not block the loop.

    Every method may be called from any thread. Pykka's own ``await`` blocks the whole event loop until the reply
    comes, and its future has neither callbacks nor a way to see whether it is done.
    """

    # No lock guards these: ``dict.setdefault`` decides who was first. Whoever waits makes the gate and looks for an
    # answer then; whoever answers leaves the answer and looks for a gate then. One of the two sees the other.
    _answer: _Answer | None = None
    _gate: "_thread.LockType | None" = None
    _callbacks: "deque[Callable[[ReplyFuture], None]] | None" = None
    target: "Ref | None" = None
    """Whom it was asked of, if a reference made it."""
    _get_hook: Callable[[float | None], Any] | None = (
        None  # set in a future that Pykka derives, by ``map`` and the like
    )

    def __init__(self) -> None:
        """Pykka's fields are set when they are needed: there is one future for every ask."""

    def get(self, *, timeout: float | None = None) -> Any:
        """The value, waiting at most ``timeout`` seconds. Raises the error that was answered, or ``pykka.Timeout``.

        A time that has passed (below 0) is none. What is no time is a ``ValueError``, also if the answer is there. An
        interrupt from the keyboard ends the wait of the main thread, within half a second if it came at a bad moment or
        to another thread.
        """
        if timeout is not None and (type(timeout) is not float or timeout != timeout):  # noqa: PLR0124 - NaN
            _check_time_left(timeout)
        if self._answer is None:
            if self._get_hook is not None:
                return super().get(timeout=timeout)
            self._wait(timeout)
        answer = self._answer
        if answer is None:
            raise pykka.Timeout(f"{timeout} seconds")
        value, error, trace = answer
        if error is not None:
            raise error.with_traceback(trace)
        return value

    def done(self) -> bool:
        """True once a value or an error is there."""
        return self._answer is not None

    def outcome(self) -> tuple[Any, BaseException | None]:
        """The value and the error that were answered, one of them None. ``RuntimeError`` before that; never blocks."""
        answer = self._answer
        if answer is None:
            raise RuntimeError("there is no answer yet: get() waits for it, done() tells whether it is there")
        return answer[0], answer[1]

    def set(self, value: Any = None) -> None:
        """Answer. Raises ``queue.Full`` if it was answered before; see ``offer``."""
        if not self._settle((value, None, None)):
            raise queue.Full

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error: a ``sys.exc_info()`` triple, or the one being handled. ``offer`` takes an exception."""
        if exc_info is not None and not (isinstance(exc_info, tuple) and len(exc_info) == 3):
            raise validation.wrong("ReplyFuture.set_exception: exc_info", "what sys.exc_info() returns", exc_info)
        kind, error, trace = sys.exc_info() if exc_info is None else exc_info
        if error is None:
            error = kind() if kind is not None else RuntimeError("set_exception() while no exception is handled")
        if not self._settle((None, error, trace)):
            raise queue.Full

    def set_get_hook(self, func: Callable[[float | None], Any]) -> None:
        """Compute the value in ``get``. Used by Pykka's ``map``, ``filter``, ``join``, ``reduce`` and ``stop``."""
        validation.require_function("ReplyFuture.set_get_hook: func", func)
        if self._answer is not None:
            raise queue.Full
        super().__init__()
        super().set_get_hook(func)

    def offer(self, value: Any = None, error: BaseException | None = None) -> bool:
        """Answer unless somebody has: the late reply of an abandoned actor is dropped. True if this one counted.
        ``ValueError`` for an ``error`` that is no exception.
        """
        if error is None:
            return self._settle((value, None, None))
        validation.require_instance("ReplyFuture.offer: error", error, BaseException)
        return self._settle((None, error, error.__traceback__))

    def add_done_callback(self, callback: "Callable[[ReplyFuture], None]") -> None:
        """Call ``callback(self)`` once answered, in the answering thread; at once if it is. Its errors are logged."""
        validation.require_function("ReplyFuture.add_done_callback: callback", callback)
        self.__dict__.setdefault("_callbacks", deque()).append(callback)
        if self._answer is not None:
            self._run_callbacks()

    def as_asyncio(self) -> "asyncio.Future[Any]":
        """The same reply as a future of the running event loop."""
        loop = asyncio.get_running_loop()
        in_main_thread = threading.current_thread() is threading.main_thread()  # a signal handler may answer there
        mirror: asyncio.Future[Any] = loop.create_future()

        def deliver() -> None:
            if mirror.done():
                return
            assert self._answer is not None
            value, error, trace = self._answer
            if error is None:
                mirror.set_result(value)
            else:
                mirror.set_exception(_fit_for_asyncio(error.with_traceback(trace)))

        def answered(_: ReplyFuture) -> None:
            if not in_main_thread and runs_on(loop):
                deliver()
                return
            with contextlib.suppress(RuntimeError):  # that loop has ended: nobody waits there any more
                loop.call_soon_threadsafe(deliver)

        self.add_done_callback(answered)
        return mirror

    def __await__(self) -> Generator[Any, None, Any]:
        if self._get_hook is not None:  # made by map(), filter(), stop() and the like: only get() computes it
            return asyncio.to_thread(self.get).__await__()
        if self.target is not None and self._answer is None:
            asker = current.get()
            if asker is not None and asker.awaits():
                return self._awaited_by(asker)
        return self.as_asyncio().__await__()

    def _awaited_by(self, asker: "Actor") -> Generator[Any, None, Any]:
        """An actor that awaits an answer serves nobody meanwhile, so it must not be waiting for itself."""
        asker.blocked_on = self
        try:
            check_wait(asker, self)
            return (yield from self.as_asyncio().__await__())
        finally:
            asker.blocked_on = None

    def _settle(self, answer: _Answer) -> bool:
        if self._get_hook is not None or self.__dict__.setdefault("_answer", answer) is not answer:
            return False
        gate = self._gate
        if gate is not None:
            gate.release()
        if self._callbacks is not None:
            self._run_callbacks()
        return True

    def _wait(self, timeout: float | None) -> None:
        gate = self._gate
        if gate is None:
            mine = _thread.allocate_lock()
            mine.acquire()
            gate = self.__dict__.setdefault("_gate", mine)
        if self._answer is not None:  # the one who answered may have seen no gate: nobody will open it
            return
        asker = current.get() if self.target is not None else None
        cell = asker.wait_cell() if asker is not None else None
        if asker is None or cell is None or cell.blocked_on is self:  # the last: published by ``Ref.ask``
            self._wait_at(gate, timeout)
            return
        cell.blocked_on = self
        try:
            check_wait(asker, self)
            self._wait_at(gate, timeout)
        finally:
            cell.blocked_on = None

    def _wait_at(self, gate: "_thread.LockType", timeout: float | None) -> None:
        if _thread.get_ident() == threading.main_thread().ident:
            opened = self._wait_in_main_thread(gate, timeout)
        else:
            opened = gate.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), _LONGEST))
        if opened:
            gate.release()  # for the next one who waits

    def _wait_in_main_thread(self, gate: "_thread.LockType", timeout: float | None) -> bool:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if gate.acquire(timeout=min(left, _SLICE)):
                return True
        return False

    def _run_callbacks(self) -> None:
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.popleft()
            except IndexError:  # called by another thread
                return
            self._call(callback)

    def _call(self, callback: "Callable[[ReplyFuture], None]") -> None:
        try:
            callback(self)
        except (Killed, KeyboardInterrupt):  # not the callback's: meant for the actor that answers, or for the program
            raise
        except BaseException as error:  # noqa: BLE001 - what waits for an answer must not harm the one who gives it
            logger.opt(exception=error).error("a done callback failed: {}", short_text(error))


def _check_time_left(timeout: object) -> None:
    """Deadlines that have passed are no mistake: whoever has several answers to wait for counts below 0."""
    if not validation.is_number(timeout, -validation.CLOCK_LIMIT, 0.0):
        validation.require_duration("ReplyFuture.get: timeout", timeout, endless=True)


def _fit_for_asyncio(error: BaseException) -> BaseException:
    """An asyncio future refuses ``StopIteration``, and whoever awaits it would wait for ever."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the handler raised {short_text(error)}")
    wrapped.__cause__ = error
    return wrapped
