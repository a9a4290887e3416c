"""Virtual time: a clock that stands still until a test turns it."""

import heapq
import itertools
import math
import threading
from collections.abc import Callable

from policies import validation
from supervisors.actor import Actor
from supervisors.testing.probes import Gate, Hook
from supervisors.timer import Timer

_GRAIN = 1e-9
"""Seconds by which sums of floats may miss a due time."""


def _nobody() -> None:
    """Nothing needs to come to rest."""


class FakeClock:
    """A ``Clock`` whose time passes only in ``advance`` and ``run_until``, which call what falls due in their thread.

    Order is certain: by due time, and in the order of setting where that is the same. Each call sees the time it was
    due at, and what it sets for later within the same stretch is called as well. One clock may serve several runtimes.
    ``ValueError`` for times that are none: one NaN would bring all others out of their order.
    """

    def __init__(self, start: float = 0.0) -> None:
        validation.require_number("FakeClock.start", start, -validation.CLOCK_LIMIT, validation.CLOCK_LIMIT)
        self._now = start
        self._due: list[tuple[float, int, Timer, FakeTimers]] = []
        self._order = itertools.count()
        self._lock = threading.RLock()
        self._sleepers = self.timers("sleep")

    def monotonic(self) -> float:
        """The present virtual time, seconds. Any thread."""
        return self._now

    def timers(self, name: str = "") -> "FakeTimers":
        """Timers that go by this clock, for one runtime."""
        return FakeTimers(self, name)

    def next_due(self) -> float | None:
        """When the next timer is due; None if nothing is set."""
        with self._lock:
            while self._due and (self._due[0][2].cancelled or self._due[0][3].closed):
                heapq.heappop(self._due)
            return self._due[0][0] if self._due else None

    def advance(self, seconds: float, settle: Callable[[], None] = _nobody) -> None:
        """Let time pass. ``settle`` is called before the first timer and after each one: with real actors, wait in it
        until they have done what the timer made them do.

        What a timer raises comes out here. ``ValueError`` for negative ``seconds``: time does not go back.
        """
        validation.require_duration("FakeClock.advance: seconds", seconds)
        validation.require_function("FakeClock.advance: settle", settle)
        end = self._now + seconds
        settle()
        while (due := self.next_due()) is not None and due <= end + _GRAIN:
            self._call_next()
            settle()
        self._now = max(self._now, end)

    def run_until(self, done: Callable[[], bool], limit: float = 3600.0, settle: Callable[[], None] = _nobody) -> bool:
        """Let time pass from timer to timer, until ``done()`` and no further; True then. False if ``limit`` seconds
        have passed without; if that is infinite, when no timer is left, and time stands still then.
        """
        validation.require_function("FakeClock.run_until: done", done)
        validation.require_duration("FakeClock.run_until: limit", limit, endless=True)
        validation.require_function("FakeClock.run_until: settle", settle)
        end = self._now + limit
        settle()
        while not done():
            due = self.next_due()
            if due is None or due == math.inf or due > end + _GRAIN:
                self._now = self._now if end == math.inf else max(self._now, end)
                return False
            self._call_next()
            settle()
        return True

    def sleeping(self, seconds: float) -> Hook:
        """A hook that takes so much virtual time: ``Probe(start=clock.sleeping(3))``."""
        validation.require_duration("FakeClock.sleeping: seconds", seconds, endless=True)

        def sleep(actor: Actor) -> object:
            gate = Gate()
            self._sleepers.after(seconds, gate.open)
            return gate.hold(actor)

        return sleep

    def _set(self, when: float, function: Callable[[], None], owner: "FakeTimers") -> Timer:
        timer = Timer(when, function)
        with self._lock:
            heapq.heappush(self._due, (when, next(self._order), timer, owner))
        return timer

    def _call_next(self) -> None:
        with self._lock:
            when, _, timer, _ = heapq.heappop(self._due)
            self._now = max(self._now, when)
        timer.function()


class FakeTimers:
    """Stands where a runtime has its timer thread. Any thread may set timers; who turns the clock calls them."""

    def __init__(self, clock: FakeClock, name: str) -> None:
        self._clock = clock
        self.name = name
        self.closed = False

    def after(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call ``function`` in ``seconds`` of virtual time."""
        validation.require_duration("FakeTimers.after: seconds", seconds, -validation.CLOCK_LIMIT, endless=True)
        return self.at(self._clock.monotonic() + seconds, function)

    def at(self, when: float, function: Callable[[], None]) -> Timer:
        """Call ``function`` at ``when``, virtual seconds; if that has passed, with the next turn of the clock."""
        validation.require_duration("FakeTimers.at: when", when, -2 * validation.CLOCK_LIMIT, endless=True)
        validation.require_function("FakeTimers.at: function", function)
        return self._clock._set(when, function, self)

    def close(self) -> None:
        """Call nothing of these any more."""
        self.closed = True
