"""One thread that calls functions at a given time."""

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable

from loguru import logger

from policies.short_text import short_text

_SWEEP = 64
"""Timers are swept of cancelled ones when there are more than this, and twice as many as the last sweep left."""

_LONGEST_WAIT = 3600.0
"""Seconds after which the thread looks again: the system's calls take no time that lies thousands of years ahead."""


class Timer:
    """A due call. ``cancel`` may come from any thread, also late."""

    __slots__ = ("at", "cancelled", "function")

    def __init__(self, at: float, function: Callable[[], None]) -> None:
        self.at = at
        self.function = function
        self.cancelled = False

    def cancel(self) -> None:
        """Do not call, if it has not begun. Lets go of what the function holds, although the time is yet to come."""
        self.cancelled = True
        self.function = _nothing


def _nothing() -> None:
    """What a cancelled timer calls."""


class TimerThread:
    """Calls functions in its own daemon thread; they must be quick (pass a message on) and never block."""

    def __init__(self, name: str) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._sweep_at = _SWEEP
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)  # entered by its lock, in C: else a kill could leave it taken
        self._wakes_at = -math.inf
        """When the thread will look again by itself; while it is awake it looks at once."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def after(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call ``function`` in ``seconds``."""
        return self.at(time.monotonic() + seconds, function)

    def at(self, when: float, function: Callable[[], None]) -> Timer:
        """Call ``function`` at ``when``, monotonic seconds. Raises for what is no time, before it could do harm."""
        when = float(when)
        if math.isnan(when):
            raise ValueError("a timer needs a time, got nan")
        timer = Timer(when, function)
        with self._lock:
            if when < self._wakes_at:  # it sleeps too long; most timers are limits, a minute ahead, and wake nobody
                self._condition.notify()
                self._wakes_at = when
            heapq.heappush(self._heap, (when, next(self._order), timer))
            if len(self._heap) > self._sweep_at:
                self._sweep()
        return timer

    def close(self) -> None:
        """Call nothing any more; the thread ends."""
        with self._lock:
            self._closed = True
            self._condition.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    def _sweep(self) -> None:
        """Drop cancelled timers: most are set for a minute or so ahead, as a limit, and cancelled a moment later."""
        self._heap = [entry for entry in self._heap if not entry[2].cancelled]
        heapq.heapify(self._heap)
        self._sweep_at = max(_SWEEP, 2 * len(self._heap))

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                due = self._heap[0][0] if self._heap else math.inf
                wait = due - time.monotonic()
                if wait > 0:
                    self._wakes_at = due
                    self._condition.wait(None if wait == math.inf else min(wait, _LONGEST_WAIT))
                    self._wakes_at = -math.inf
                    continue
                timer = heapq.heappop(self._heap)[2]
            try:
                timer.function()
            except BaseException as error:  # noqa: BLE001 - one bad timer must not stop the others
                logger.opt(exception=error).error("timer function failed: {}", short_text(error))
