"""Notices an event loop that does not turn, and frees it: a blocking handler must not stop its neighbours for good."""

import time
import weakref

from loguru import logger

from policies import validation
from supervisors.events import Abandoned, LadderRung
from supervisors.exits import ExitKind, ExitReason
from supervisors.loop_thread import LoopThread
from supervisors.runtime import Runtime
from supervisors.threads import format_frames

BLOCKED_LOOP = "LoopBlocked"
"""``error_type`` of the exit reason of the actor that was found blocking its loop."""


class LoopWatchdog:
    """Watches one loop from the timer thread for as long as the loop's thread lives. Does not keep the loop.

    After ``limit`` seconds without a turn the actor found on the stack gets ``Killed`` raised in it; after ``grace``
    more seconds every actor of the loop is abandoned, so that their supervisors can start anew on another loop.
    ``ValueError`` for less than a millisecond: it looks at the loop four times within the shorter of the two.
    """

    def __init__(self, runtime: Runtime, loop: LoopThread, limit: float, grace: float) -> None:
        validation.require_instance("LoopWatchdog.runtime", runtime, Runtime)
        validation.require_instance("LoopWatchdog.loop", loop, LoopThread)
        validation.require_duration("LoopWatchdog.limit", limit, 0.001)
        validation.require_duration("LoopWatchdog.grace", grace, 0.001)
        self._runtime = runtime
        self._loop = weakref.ref(loop)
        self._limit = limit
        self._grace = grace
        self._turned = self._looked = time.monotonic()
        self._interrupted: float | None = None

    def begin(self) -> None:
        """Start watching."""
        self._turned = self._looked = time.monotonic()
        self._look()

    def _turn(self) -> None:
        self._turned = time.monotonic()
        self._interrupted = None

    def _look(self) -> None:
        loop = self._loop()
        if loop is None or not loop.is_alive() or loop.loop.is_closed():
            return
        now = time.monotonic()
        if now - self._looked > self._limit:  # this process stood still, or was starved: no fault of the loop
            self._turned, self._interrupted = now, None
        self._looked = now
        blocked = now - self._turned
        if self._interrupted is not None and now - self._interrupted > self._grace:
            self._abandon_all(loop, blocked)
            return
        if self._interrupted is None and blocked > self._limit:
            self._interrupt(loop, blocked)
        try:
            loop.loop.call_soon_threadsafe(self._turn)
        except RuntimeError:
            return
        self._runtime.timer.after(min(self._limit, self._grace) / 4, self._look)

    def _interrupt(self, loop: LoopThread, blocked: float) -> None:
        self._interrupted = time.monotonic()
        _, actor = loop.look()
        if actor is None:
            return
        self._runtime.emit(LadderRung(actor.path, "exception"))
        actor.inject(_reason(actor.stack(), blocked))

    def _abandon_all(self, loop: LoopThread, blocked: float) -> None:
        frames, culprit = loop.look()
        stack = format_frames(frames)
        logger.error("event loop {} is blocked for {:.1f} s; its actors are abandoned", loop.name, blocked)
        actors = loop.actors()
        for actor in sorted(actors, key=lambda actor: actor is not culprit):
            self._runtime.add_zombie(actor)
            self._runtime.emit(Abandoned(actor.path, actor.incarnation, stack))
            neighbour = ExitReason(ExitKind.ABANDONED, "its event loop was blocked by another actor")
            actor.abandon(_reason(stack, blocked) if actor is culprit else neighbour)


def _reason(stack: str, blocked: float) -> ExitReason:
    where = [line.strip() for line in stack.splitlines() if line.strip().startswith("File")]
    return ExitReason(
        ExitKind.KILLED,
        error_type=BLOCKED_LOOP,
        error_text=f"blocked the event loop for {blocked:.1f} s in {where[-1] if where else 'unknown code'}",
        traceback=stack,
    )
