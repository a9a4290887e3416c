"""Replies that can be waited for from threads and from event loops alike."""

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pykka
from loguru import logger

_SLICE = 0.5
"""Seconds after which a wait of the main thread looks up, to run the handler of a signal that did not wake it."""


class ReplyFuture(pykka.ThreadingFuture[Any]):
    """A Pykka future with done callbacks and an ``await`` that does not block the loop.

    Every method may be called from any thread. Pykka's own ``await`` blocks the whole event loop until the reply
    comes, and its future has neither callbacks nor a way to see whether it is done.
    """

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[ReplyFuture], None]] = []

    def get(self, *, timeout: float | None = None) -> Any:
        """The value, waiting at most ``timeout`` seconds. Raises the error that was answered, or ``pykka.Timeout``.

        An interrupt from the keyboard ends the wait of the main thread, within half a second if it came at a bad moment
        or to another thread.
        """
        if self._get_hook is None and threading.current_thread() is threading.main_thread():
            deadline = math.inf if timeout is None else time.monotonic() + timeout
            with self._condition:
                while self._result is None and (left := deadline - time.monotonic()) > 0:
                    self._condition.wait(min(left, _SLICE))
                if self._result is None:
                    raise pykka.Timeout(f"{timeout} seconds")
        return super().get(timeout=timeout)

    def done(self) -> bool:
        """True once a value or an error is there."""
        return self._result is not None

    def set(self, value: Any = None) -> None:
        """Answer. Raises ``queue.Full`` if it was answered before; see ``offer``."""
        super().set(value)
        self._run_callbacks()

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error (a ``sys.exc_info()`` triple, or the one being handled)."""
        super().set_exception(exc_info)
        self._run_callbacks()

    def offer(self, value: Any = None, error: BaseException | None = None) -> bool:
        """Answer unless somebody has: the late reply of an abandoned actor is dropped. True if this one counted."""
        try:
            if error is None:
                self.set(value)
            else:
                self.set_exception((type(error), error, error.__traceback__))
        except queue.Full:
            return False
        return True

    def add_done_callback(self, callback: "Callable[[ReplyFuture], None]") -> None:
        """Call ``callback(self)`` once answered, in the answering thread; at once if it is. Its errors are logged."""
        with self._condition:
            if self._result is None:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def as_asyncio(self) -> "asyncio.Future[Any]":
        """The same reply as a future of the running event loop."""
        loop = asyncio.get_running_loop()
        mirror: asyncio.Future[Any] = loop.create_future()

        def deliver() -> None:
            if mirror.done():
                return
            assert self._result is not None
            if self._result.exc_info is None:
                mirror.set_result(self._result.value)
                return
            kind, error, _ = self._result.exc_info
            assert kind is not None
            mirror.set_exception(_fit_for_asyncio(error if error is not None else kind()))

        def answered(_: ReplyFuture) -> None:
            with contextlib.suppress(RuntimeError):  # that loop has ended: nobody waits there any more
                loop.call_soon_threadsafe(deliver)

        self.add_done_callback(answered)
        return mirror

    def __await__(self) -> Generator[Any, None, Any]:
        if self._get_hook is not None:  # made by map(), filter(), stop() and the like: only get() computes it
            return asyncio.to_thread(self.get).__await__()
        return self.as_asyncio().__await__()

    def _run_callbacks(self) -> None:
        with self._condition:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._call(callback)

    def _call(self, callback: "Callable[[ReplyFuture], None]") -> None:
        try:
            callback(self)
        except Exception as error:  # noqa: BLE001 - what waits for an answer must not harm the one who gives it
            logger.opt(exception=error).error("a done callback failed: {!r}", error)


def _fit_for_asyncio(error: BaseException) -> BaseException:
    """An asyncio future refuses ``StopIteration``, and whoever awaits it would wait for ever."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the handler raised {error!r}")
    wrapped.__cause__ = error
    return wrapped
