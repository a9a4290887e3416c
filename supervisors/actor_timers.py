"""Timers of an actor: messages and signals that come to it later, once or again and again, and end with it."""

import weakref
from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.timer import Timer


class OwnEnvelope(Envelope[Any]):
    """A message of an actor to itself, by a timer for example. It is for this incarnation: no successor gets it, and if
    it comes too late it is no dead letter.
    """

    __slots__ = ("__weakref__",)


class ActorTimer:
    """A message on its way to the incarnation that set it. Made by ``Actor.send_after`` and ``Actor.send_every``."""

    __slots__ = ("_actor", "_message", "_period", "_timer", "_waiting", "active")

    def __init__(self, actor: "Actor", first: float, message: Any, period: float | None) -> None:
        self._actor = actor
        self._message = message
        self._period = period
        self._waiting: weakref.ref[OwnEnvelope] | None = None
        self.active = True
        """False once it was cancelled or has nothing more to send."""
        self._timer: Timer = actor.runtime.timer.after(first, self._send)

    def cancel(self) -> None:
        """Send nothing more. What is in the mailbox already comes all the same. Any thread."""
        self.active = False
        self._timer.cancel()
        self._actor.own_timers.discard(self)

    def over(self) -> bool:
        """True if it was cancelled or has nothing more to send."""
        return not self.active

    def _send(self) -> None:
        """In the timer thread. A tick that the actor has not come to handle yet is not sent once more: behind a handler
        that takes an hour there is one, not an hour's.
        """
        if not self.active:
            return
        if self._period is None:
            self.cancel()
        else:
            self._timer = self._actor.runtime.timer.after(self._period, self._send)
            if self.over():  # cancelled meanwhile, by a thread that knew the timer before
                self._timer.cancel()
                return
        if self._waiting is None or self._waiting() is None:
            envelope = OwnEnvelope(self._message)
            self._waiting = weakref.ref(envelope)
            self._actor.actor_inbox.put(envelope)


def start_timer(actor: "Actor", first: float, message: Any, period: float | None) -> ActorTimer:
    """Set a timer of an actor: for once, or where there is a ``period`` again and again. Times in seconds."""
    timer = ActorTimer(actor, first, message, period)
    actor.own_timers.add(timer)
    if actor.exit_reason is not None:
        timer.cancel()
    elif timer.over():  # it has come already, before it was in the set
        actor.own_timers.discard(timer)
    return timer
