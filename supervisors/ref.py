"""Stable references: a path that resolves to whichever incarnation lives there now."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope

from policies import validation
from supervisors.ask_cycles import check_wait
from supervisors.current import current
from supervisors.errand import Errand
from supervisors.events import DeadLetter
from supervisors.exits import ExitKind, ExitReason
from supervisors.future import ASK_TIMEOUT, ReplyFuture
from supervisors.incarnation import Watcher, offer
from supervisors.mailboxes.mailbox import is_stop_request
from supervisors.proxy import ActorProxy
from supervisors.refusals import MailboxFullError, NotHandledError
from supervisors.signals import Down, Signal

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.mailboxes.kept import KeptMail
    from supervisors.runtime import Runtime


class Ref:
    """Reference to a place in the tree. Survives restarts; may be kept and used from any thread.

    While nobody lives there a ``tell`` becomes a counted dead letter and an ask fails at once. What an abandoned
    (fenced) actor sends is dropped.
    """

    __slots__ = ("__weakref__", "_actor", "_arrivals", "_runtime", "kept", "path")

    def __init__(self, runtime: "Runtime", path: str) -> None:
        self._runtime = runtime
        self.path = path
        self._actor: Actor | None = None
        self._arrivals: deque[Callable[[Actor], None]] | None = None
        self.kept: KeptMail | None = None
        """Where messages wait while nobody lives there, if its specification says so."""

    def __repr__(self) -> str:
        actor = self._actor
        return f"<Ref {self.path} {f'incarnation {actor.incarnation}' if actor is not None else 'down'}>"

    @property
    def runtime(self) -> "Runtime":
        """The runtime in whose tree the place is."""
        return self._runtime

    @property
    def actor(self) -> "Actor | None":
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
        """Send without waiting. Never raises for a dead target or a full mailbox."""
        actor = self._actor
        sender = current.get()
        if sender is not None and sender.fenced:
            self._runtime.drop_late(self.path, message, sender)
        elif actor is not None:
            actor.actor_inbox.put(Envelope(message))
        else:
            self._send_down(Envelope(message))

    def ask(self, message: Any, timeout: float = ASK_TIMEOUT, *, wait: bool = False) -> Any:
        """Send and block for the answer, at most ``timeout`` seconds. With ``wait`` also for somebody to live there.

        Raises what the target raised, or ``NotHandledError`` (a ``pykka.ActorDeadError``) if nobody lives there or the
        target ended before it took the message up, another ``pykka.ActorDeadError`` if it ended while it was at it,
        ``MailboxFullError``, ``pykka.Timeout``; in an actor, ``AskCycleError`` if the target waits for that actor. What
        is no time is a ``ValueError``, and nothing is sent. Not for code on an event loop: await ``request`` there.
        """
        if type(timeout) is not float or not timeout >= 0.0:  # nearly never: an ask costs a few microseconds
            validation.require_duration("Ref.ask: timeout", timeout, endless=True)
        asker = current.get()
        if wait or asker is None:
            if wait:
                validation.require_instance("Ref.ask: wait (timeout says for how long)", wait, bool)
            return self.request(message, wait=timeout if wait else None).get(timeout=timeout)
        future = ReplyFuture()
        future.target = self
        cell = asker.wait_cell()
        if cell is None:
            self.send(Envelope(message, future), asker)
            return future.get(timeout=timeout)
        cell.blocked_on = future  # published before the look around, and all that before the message is sent
        try:
            check_wait(asker, future)
            self.send(Envelope(message, future), asker)
            return future.get(timeout=timeout)
        finally:
            cell.blocked_on = None

    def request(self, message: Any, *, wait: float | None = None) -> ReplyFuture:
        """Send; the future can be awaited or waited for, and is always answered. ``wait`` are seconds for which the
        message may wait for somebody to live there: it is then sent again to the next incarnation, for as long as none
        has taken it up. What is no time is a ``ValueError``, and then nothing is sent.
        """
        if wait is not None:
            validation.require_duration("Ref.request: wait", wait, endless=True)
        future = ReplyFuture()
        future.target = self
        sender = current.get()
        if wait is not None:
            Errand(self, message, future, wait, sender).begin()
        else:
            self.send(Envelope(message, future), sender)
        return future

    def proxy(self) -> ActorProxy:
        """Methods and attributes of whoever lives there, as if they were here."""
        return ActorProxy(self)

    def monitor(self, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` with one ``Down`` for the present incarnation (``noproc`` at once if there is none). Returns
        the function that ends the watch. ``ValueError`` for a watcher that cannot be called.
        """
        validation.require_function("Ref.monitor: watcher", watcher)
        actor = self._actor
        if actor is None:
            watcher(Down(self.path, 0, ExitReason(ExitKind.NOPROC, f"{self.path} is down")))
            return lambda: None

        def hear(signal: Signal) -> None:
            if isinstance(signal, Down):
                watcher(signal)

        actor.monitor(hear)
        return lambda: actor.demonitor(hear)

    def refuse(self, envelope: Envelope[Any], why: str) -> None:
        """Nobody will handle this message: answer its asker, or count a dead letter. ``why`` as in ``DeadLetter``."""
        if envelope.reply_to is None:
            self._runtime.emit(DeadLetter(self.path, type(envelope.message).__name__, why))
        elif is_stop_request(envelope.message):
            offer(envelope.reply_to, value=True)
        elif why in ("full", "dropped"):
            what = "is full" if why == "full" else "was full, this message made room for a newer one"
            offer(envelope.reply_to, error=MailboxFullError(f"the mailbox of {self.path} {what}"))
        else:
            offer(envelope.reply_to, error=NotHandledError(f"{self.path} is down"))

    def point_to(self, actor: "Actor | None") -> None:
        """Swap the incarnation. Only its supervisor does this."""
        self._actor = actor
        if actor is not None and self._arrivals:
            self._call_arrivals()

    def when_up(self, callback: "Callable[[Actor], None]") -> None:
        """Call ``callback`` once with the next living incarnation, in the thread that launches it; at once if one lives
        there. It must only pass a message on.
        """
        validation.require_function("Ref.when_up: callback", callback)
        with self._runtime.lock:
            if self._arrivals is None:
                self._arrivals = deque()
            self._arrivals.append(callback)
        if self.is_up():
            self._call_arrivals()

    def _call_arrivals(self) -> None:
        arrivals = self._arrivals
        while arrivals and (actor := self._actor) is not None:
            try:
                callback = arrivals.popleft()
            except IndexError:  # called by another thread
                return
            callback(actor)

    def send(self, envelope: Envelope[Any], sender: "Actor | None") -> None:
        """Put an envelope into the mailbox of whoever lives there, on behalf of ``sender``."""
        actor = self._actor
        if sender is not None and sender.fenced:
            self._runtime.drop_late(self.path, envelope.message, sender)
            offer(envelope.reply_to, error=NotHandledError(f"{sender.path} was abandoned: what it asks is not sent"))
        elif actor is not None:
            actor.actor_inbox.put(envelope)
        else:
            self._send_down(envelope)

    def _send_down(self, envelope: Envelope[Any]) -> None:
        kept = self.kept
        if kept is None or not kept.park(envelope):
            self.refuse(envelope, "down")


def require_ref(name: str, value: object) -> None:
    """Raise ``ValueError`` unless ``value`` is a ``Ref``. ``name`` is how the error calls it."""
    if not isinstance(value, Ref):
        raise validation.wrong(name, "a Ref, as Runtime.ref(path) and Actor.ref give it", value)
