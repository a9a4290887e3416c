"""Stable references: a path that resolves to whichever incarnation lives there now."""

from typing import TYPE_CHECKING, Any

import pykka
from pykka._envelope import Envelope

from supervisors.actor import Actor, Watcher, current_actor
from supervisors.events import DeadLetter
from supervisors.exits import ExitKind, ExitReason
from supervisors.future import ReplyFuture
from supervisors.signals import Down

if TYPE_CHECKING:
    from supervisors.runtime import Runtime

ASK_TIMEOUT = 5.0
"""Seconds that a blocking ask waits unless told otherwise; never for ever."""


class Ref:
    """Reference to a place in the tree. Survives restarts; may be kept and used from any thread.

    While nobody lives there a ``tell`` becomes a counted dead letter and an ask fails at once. What an abandoned
    (fenced) actor sends is dropped.
    """

    __slots__ = ("__weakref__", "_actor", "_runtime", "path")

    def __init__(self, runtime: "Runtime", path: str) -> None:
        self._runtime = runtime
        self.path = path
        self._actor: Actor | None = None

    def __repr__(self) -> str:
        actor = self._actor
        return f"<Ref {self.path} {f'incarnation {actor.incarnation}' if actor is not None else 'down'}>"

    @property
    def actor(self) -> Actor | None:
        """The present incarnation; for supervisors, ladders and tools, not for talking to it."""
        return self._actor

    @property
    def incarnation(self) -> int | None:
        """Its number, None while down."""
        actor = self._actor
        return actor.incarnation if actor is not None else None

    def is_up(self) -> bool:
        """True if an incarnation lives there now."""
        actor = self._actor
        return actor is not None and actor.exit_reason is None

    def tell(self, message: Any) -> None:
        """Send without waiting. Never raises for a dead target."""
        actor = self._actor
        sender = current_actor()
        if sender is not None and sender.fenced:
            self._runtime.emit(DeadLetter(self.path, type(message).__name__, "fenced"))
        elif actor is None:
            self._runtime.emit(DeadLetter(self.path, type(message).__name__, "down"))
        else:
            actor.actor_inbox.put(Envelope(message))

    def ask(self, message: Any, timeout: float = ASK_TIMEOUT) -> Any:
        """Send and block for the answer, at most ``timeout`` seconds.

        Raises ``pykka.ActorDeadError`` if the target is down or ends before it answered, ``pykka.Timeout``, or what
        the target raised. Not for code on an event loop: await ``request`` there.
        """
        return self.request(message).get(timeout=timeout)

    def request(self, message: Any) -> ReplyFuture:
        """Send; the future can be awaited or waited for, and is always answered."""
        future = ReplyFuture()
        actor = self._actor
        sender = current_actor()
        if actor is None or (sender is not None and sender.fenced):
            future.offer(error=pykka.ActorDeadError(f"{self.path} is down"))
        else:
            actor.actor_inbox.put(Envelope(message, reply_to=future))
        return future

    def monitor(self, watcher: Watcher) -> None:
        """Call ``watcher`` with one ``Down`` for the present incarnation (``noproc`` at once if there is none)."""
        actor = self._actor
        if actor is None:
            watcher(Down(self.path, 0, ExitReason(ExitKind.NOPROC, f"{self.path} is down")))
        else:
            actor.monitor(lambda signal: watcher(signal) if isinstance(signal, Down) else None)

    def point_to(self, actor: Actor | None) -> None:
        """Swap the incarnation. Only its supervisor does this."""
        self._actor = actor
