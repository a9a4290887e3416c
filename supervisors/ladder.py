"""The kill ladder: ends an actor for certain, rung by rung, without blocking anybody.

stop -> cancel -> release -> exception -> abandon. A rung with 0 seconds is left out; an infinite one is the last. The
rungs run on the timer thread, so a supervisor goes on answering while a child refuses to die.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from supervisors.actor import Actor
from supervisors.events import Abandoned, LadderRung
from supervisors.exits import ExitKind, ExitReason
from supervisors.signals import Down, Signal
from supervisors.spec import Ladder

if TYPE_CHECKING:
    from supervisors.runtime import Runtime
    from supervisors.timer import Timer

_INJECTIONS = 3
"""How often ``Killed`` is raised within the exception rung: a bare ``except:`` may have eaten the first."""


class LadderRun:
    """One climb. Begins in the caller's thread and ends with the actor, at the latest by abandoning it."""

    def __init__(self, runtime: "Runtime", actor: Actor, ladder: Ladder, reason: ExitReason) -> None:
        self._runtime = runtime
        self._actor = actor
        self._ladder = ladder
        self._reason = reason
        self._timer: Timer | None = None
        self._done = False

    def begin(self) -> None:
        """Start climbing."""
        self._actor.monitor(self._hear)
        self._stop()

    def _hear(self, signal: Signal) -> None:
        if isinstance(signal, Down):
            self._done = True
            if self._timer is not None:
                self._timer.cancel()

    def _then(self, seconds: float, rung: Callable[[], None]) -> None:
        if math.isinf(seconds):
            return
        self._timer = self._runtime.timer.after(seconds, rung)
        if self._done:  # looked at last: the end may have come too early to cancel this timer, which keeps the actor
            self._timer.cancel()

    def _stop(self) -> None:
        if self._ladder.stop == 0:
            self._cancel()
            return
        self._actor.request_stop(self._reason)
        self._then(self._ladder.stop, self._cancel)

    def _cancel(self) -> None:
        if self._done:
            return
        if self._ladder.cancel > 0 and self._actor.cancels:
            self._tell("cancel")
            if self._actor.request_cancel(self._killed()):
                self._then(self._ladder.cancel, self._release)
                return
        self._release()

    def _release(self) -> None:
        if self._done:
            return
        if self._ladder.release == 0:
            self._inject()
            return
        self._tell("release")
        self._actor.release_aside()
        self._then(self._ladder.release, self._inject)

    def _inject(self, nth: int = 1) -> None:
        if self._done:
            return
        if self._ladder.exception == 0:
            self._abandon()
            return
        self._tell("exception")
        self._actor.inject(self._killed())
        wait = self._ladder.exception / _INJECTIONS
        self._then(wait, (lambda: self._inject(nth + 1)) if nth < _INJECTIONS else self._abandon)

    def _abandon(self) -> None:
        if self._done:
            return
        actor = self._actor
        self._runtime.add_zombie(actor)
        self._runtime.emit(Abandoned(actor.path, actor.incarnation, actor.stack()))
        actor.abandon(self._reason)

    def _killed(self) -> ExitReason:
        return attrs.evolve(self._reason, kind=ExitKind.KILLED)

    def _tell(self, rung: str) -> None:
        self._runtime.emit(LadderRung(self._actor.path, rung))
