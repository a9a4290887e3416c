"""Replies that can be waited for from threads and from event loops alike."""

import asyncio
import queue
from collections.abc import Callable, Generator
from typing import Any

import pykka


class ReplyFuture(pykka.ThreadingFuture[Any]):
    """A Pykka future with done callbacks and an ``await`` that does not block the loop.

    Every method may be called from any thread. Pykka's own ``await`` blocks the whole event loop until the reply
    comes, and its future has neither callbacks nor a way to see whether it is done.
    """

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[ReplyFuture], None]] = []

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
        """Call ``callback(self)`` once answered, in the answering thread; at once if it is."""
        with self._condition:
            if self._result is None:
                self._callbacks.append(callback)
                return
        callback(self)

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
            mirror.set_exception(error if error is not None else kind())

        def answered(_: ReplyFuture) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver)

        self.add_done_callback(answered)
        return mirror

    def __await__(self) -> Generator[Any, None, Any]:
        return self.as_asyncio().__await__()

    def _run_callbacks(self) -> None:
        with self._condition:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)
