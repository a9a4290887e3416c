"""A subscriber of events that may be slow: it has a queue and a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable, Iterable

from loguru import logger

from policies import validation
from policies.short_text import short_text
from supervisors.events import Event
from supervisors.runtime import Runtime


class EventQueue:
    """Calls a function with the events of a runtime, in a daemon thread, one after another and in their order.

    A subscriber of ``Runtime.subscribe`` runs in the thread where the event happens, often a supervisor's or that of
    the timers of all: one that takes longer than some hundred microseconds delays restarts. What writes to files, nets
    or terminals belongs behind an ``EventQueue``. When more than ``limit`` events wait, the oldest are dropped and
    counted: a sink that hangs costs its own events, and nobody's time or memory.
    """

    def __init__(
        self,
        runtime: Runtime,
        function: Callable[[Event], object],
        kinds: Iterable[str] | None = None,
        limit: int = 10_000,
    ) -> None:
        validation.require_instance("EventQueue.runtime", runtime, Runtime)
        validation.require_function("EventQueue.function", function)
        validation.require_integer("EventQueue.limit", limit, 1)
        self.dropped = 0
        """Events that the function never saw."""
        self._function = function
        self._limit = limit
        self._events: deque[Event] = deque()
        self._lock = threading.RLock()  # reentrant: a signal handler may tell a dead actor
        self._condition = threading.Condition(self._lock)  # entered by its lock, in C: else a kill could leave it taken
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"{runtime.name} event queue", daemon=True)
        self._unsubscribe = runtime.subscribe(self._put, kinds)  # first: it refuses kinds that are none
        try:
            self._thread.start()
        except RuntimeError:
            self._unsubscribe()
            raise

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._events)

    def close(self, timeout: float = 2.0) -> bool:
        """Take no more events, and wait at most ``timeout`` seconds for those that wait. True if all were handled;
        those that were not are dropped. ``ValueError`` for what is no time; then it is not closed.
        """
        validation.require_duration("EventQueue.close: timeout", timeout, endless=True)
        self._unsubscribe()
        with self._lock:
            self._closed = True
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(min(timeout, threading.TIMEOUT_MAX))
        with self._lock:
            self.dropped += len(self._events)
            self._events.clear()
        return not self._thread.is_alive()

    def _put(self, event: Event) -> None:
        with self._lock:
            if len(self._events) >= self._limit:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._events:
                    if self._closed:
                        return
                    self._condition.wait()
                event = self._events.popleft()
            try:
                self._function(event)
            except BaseException as error:  # noqa: BLE001 - one bad event must not end the sink of the others
                logger.opt(exception=error).error("event queue failed on {}: {}", event.kind, short_text(error))
