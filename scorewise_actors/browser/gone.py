"""``Gone``: a one-shot notice that something is dead, and the watch that gives it for a process.

Death is noticed in several places (a pidfd, Playwright's ``disconnected`` and ``crash``, our own kill), in any order
and from any thread. All of them feed one ``Gone``; everyone who waits for an answer from the dead listens to it.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Self

from scorewise_actors.browser.errors import GoneError
from scorewise_actors.browser.processes import ProcessIdentity

_POLL_SECONDS = 0.25  # only where the kernel has no pidfd_open

Callback = Callable[["Gone"], object]


class Gone:
    """A notice that is given once and stays given. The first reason wins.

    ``error`` is what a call that waited for the dead raises. Made on the event loop that listens to it; :meth:`set`,
    :attr:`is_set` and :attr:`reason` work from any thread, the rest on the loop.
    """

    __slots__ = ("_callbacks", "_lock", "_loop", "_reason", "error")

    def __init__(self, error: type[GoneError], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.error = error
        self._loop = loop or asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._callbacks: dict[Callback, None] = {}

    @property
    def is_set(self) -> bool:
        """Whether the notice was given; true from the moment :meth:`set` returned, on every thread."""
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """How the death was noticed; None while alive."""
        return self._reason

    def set(self, reason: str) -> bool:
        """Give the notice, from any thread. True for the first call, False (and no effect) for all later ones."""
        with self._lock:
            if self._reason is not None:
                return False
            self._reason = reason
        try:
            self._loop.call_soon_threadsafe(self._tell)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._callbacks.clear()
        return True

    def add_callback(self, callback: Callback) -> None:
        """Call ``callback(gone)`` on the loop once the notice is given, soon if it was given already. The same one
        counts once.
        """
        if self.is_set:
            self._loop.call_soon(callback, self)
        else:
            self._callbacks[callback] = None

    def remove_callback(self, callback: Callback) -> None:
        """Forget a callback; unknown ones are ignored."""
        self._callbacks.pop(callback, None)

    async def wait(self) -> str:
        """Wait for the notice and return its reason."""
        if self._reason is None:
            told: asyncio.Future[None] = self._loop.create_future()

            def tell(_: Gone) -> None:
                if not told.done():
                    told.set_result(None)

            self.add_callback(tell)
            try:
                await told
            finally:
                self.remove_callback(tell)
        assert self._reason is not None
        return self._reason

    def _tell(self) -> None:
        while self._callbacks:
            callback, _ = self._callbacks.popitem()
            self._loop.call_soon(callback, self)

    def __repr__(self) -> str:
        state = f"gone: {self._reason}" if self.is_set else "alive"
        return f"<Gone {self.error.subject} {state}>"


class PidWatch:
    """Watches one process on the event loop; made by :func:`watch_pid`."""

    def __init__(self, identity: ProcessIdentity, gone: Gone, reason: str) -> None:
        self.identity = identity
        self._gone = gone
        self._reason = reason
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._poll: asyncio.TimerHandle | None = None

    def start(self) -> Self:
        """Begin to watch: by pidfd where the kernel offers it, else by looking every quarter of a second."""
        try:
            self._descriptor = os.pidfd_open(self.identity.pid)
        except ProcessLookupError:
            self._gone.set(self._reason)
            return self
        except (AttributeError, OSError):
            self._look()
            return self
        if not self.identity.is_alive():  # the pid may have passed to another process before the pidfd was open
            self._end()
        else:
            self._loop.add_reader(self._descriptor, self._end)
        return self

    def cancel(self) -> None:
        """Stop watching; harmless when it has ended already. On the loop."""
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _end(self) -> None:
        self.cancel()
        self._gone.set(self._reason)

    def _look(self) -> None:
        if self.identity.is_alive():
            self._poll = self._loop.call_later(_POLL_SECONDS, self._look)
        else:
            self._end()


def watch_pid(pid: int | ProcessIdentity, gone: Gone, reason: str) -> PidWatch:
    """Give ``gone`` the notice ``reason`` when the process ends; at once when it has ended. Cancel the watch when
    done with it.

    Works for processes that are not our children. Call it on the event loop.
    """
    if isinstance(pid, ProcessIdentity):
        return PidWatch(pid, gone, reason).start()
    try:
        identity = ProcessIdentity.of(pid)
    except ProcessLookupError:
        gone.set(reason)
        identity = ProcessIdentity(pid, -1.0)  # no process ever started then
    return PidWatch(identity, gone, reason).start()
