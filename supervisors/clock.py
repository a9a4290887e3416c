"""Where a runtime takes its time from: the clock of the machine, or one that a test turns."""

import time
from collections.abc import Callable
from typing import Protocol

from supervisors.timer import Timer, TimerThread


class Timers(Protocol):
    """Calls functions at a given time; they must be quick (pass a message on) and never block. Any thread."""

    def after(self, seconds: float, function: Callable[[], None]) -> Timer:
        """Call ``function`` in ``seconds``."""

    def at(self, when: float, function: Callable[[], None]) -> Timer:
        """Call ``function`` at ``when``, in the seconds of the clock."""

    def close(self) -> None:
        """Call nothing any more."""


class Clock(Protocol):
    """What ``Runtime(clock=...)`` takes: restart windows, delays, start timeouts and the rungs of ladders go by it.

    Blocking waits of callers (``Ref.ask``, ``Runtime.stop``) go by the clock of the machine: those who wait are real.
    """

    def monotonic(self) -> float:
        """Seconds that never go back. Any thread."""

    def timers(self, name: str) -> Timers:
        """New timers that go by this clock; ``name`` is for people who look at threads."""


class SystemClock:
    """The monotonic clock of the machine, with a timer thread for each runtime."""

    monotonic = staticmethod(time.monotonic)

    def timers(self, name: str) -> TimerThread:
        """Timers in a daemon thread with this name."""
        return TimerThread(name)


SYSTEM_CLOCK = SystemClock()
