"""The life of one incarnation: what thread actors and async actors have in common.

An actor is made in its supervisor's thread, started by the runtime, and ends exactly once with one exit reason, whoever
decides it first: its own loop, or the kill ladder that abandons it.
"""

import contextlib
import itertools
import math
import queue
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import attrs
import pykka
from loguru import logger
from pykka._envelope import Envelope

from supervisors.events import DeadLetter, ZombieEnded
from supervisors.exits import SHUTDOWN, ActorExit, ExitKind, ExitReason, Killed
from supervisors.future import ReplyFuture
from supervisors.mailbox import is_stop_request
from supervisors.signals import Down, Ready, Signal, Stop
from supervisors.spec import Ladder
from supervisors.timer import Timer

if TYPE_CHECKING:
    from supervisors.ref import Ref
    from supervisors.runtime import Runtime

_incarnations = itertools.count(1)
current: "ContextVar[Actor | None]" = ContextVar("supervisors_current_actor", default=None)

Watcher = Callable[[Signal], None]

NO_REPLY: Any = object()
"""Returned by a handler that answers its asker later, through ``Actor.hold_reply``."""

_RELEASE_WAIT = 0.5
"""Seconds that the end of an abandoned actor waits for its ``release()``, so that its successor finds things freed."""


def current_actor() -> "Actor | None":
    """The actor whose code is running, in this thread or task; None outside of actors."""
    return current.get()


class ActorMailbox(Protocol):
    """What an actor needs of its mailbox, beyond Pykka's inbox."""

    closed: bool
    on_reject: Callable[[Envelope[Any]], None] | None

    def put(self, envelope: Envelope[Any], /) -> None: ...
    def qsize(self) -> int: ...
    def close(self) -> None: ...


class Actor(pykka.Actor):
    """Base of both actor types; not started by ``start()`` but by a supervisor, through ``Runtime.launch``.

    Hooks, all run by the actor itself unless stated: ``on_start`` (raise to refuse the start), ``on_receive``,
    ``on_signal`` (``Down`` of watched actors, ``Timeout``), ``on_stop`` (it was asked to stop, or ended normally),
    ``on_failure`` (it ends abnormally), ``release`` (**the killer's thread**).
    """

    defers_ready: ClassVar[bool] = False
    """True if the actor calls ``announce_ready`` itself, some time after ``on_start`` returned."""
    drains: ClassVar[bool] = False
    """True if a stop request lets the actor serve first what is in its mailbox by then."""
    cancels: ClassVar[bool] = False
    """True if this type of actor has a coroutine to cancel."""
    last_hook_limit: ClassVar[float] = 30.0
    """Seconds that the last hook of an actor which ends by itself may take before the kill ladder goes on to end it.
    (One that was told to stop has a ladder on it already.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.incarnation = next(_incarnations)
        self.path = f"{type(self).__name__}#{self.incarnation}"
        self.exit_reason: ExitReason | None = None
        """Set once the incarnation has ended."""
        self.ready = False
        self._runtime: Runtime | None = None
        self._ref: Ref | None = None
        self._life = threading.Lock()
        self._watchers: list[Watcher] = []
        self._fenced = False
        self._stop_reason: ExitReason | None = None
        self._kill_reason: ExitReason | None = None
        self._in_hand: Envelope[Any] | None = None
        self.mailbox.on_reject = self._reject

    @staticmethod
    def _create_future() -> ReplyFuture:
        return ReplyFuture()

    # ------------------------------------------------------------------------------------------ for subclasses

    @property
    def runtime(self) -> "Runtime":
        """The runtime that started this actor."""
        assert self._runtime is not None, f"{self.path} was not started by a runtime"
        return self._runtime

    @property
    def mailbox(self) -> ActorMailbox:
        """The inbox, with the methods that Pykka's protocol lacks."""
        return self.actor_inbox  # type: ignore[return-value]

    @property
    def ref(self) -> "Ref":
        """The stable reference to this actor's path."""
        assert self._ref is not None, f"{self.path} was not started by a runtime"
        return self._ref

    @property
    def bound(self) -> bool:
        """True once a runtime has started it: an actor lives once, a restart needs a new one."""
        return self._runtime is not None

    @property
    def fenced(self) -> bool:
        """True once abandoned: what this incarnation still sends is dropped."""
        return self._fenced

    def on_signal(self, signal: Signal) -> Any:
        """A ``Down`` or ``Timeout`` for this actor. The default ignores it."""

    def release(self) -> None:
        """Free what this actor is blocked on: kill its process, shut its socket down. Runs in the killer's thread,
        possibly while the actor is running, and after it ended abnormally; it must be quick and take no locks of
        the actor. Called for every abnormal end, so that no OS resource outlives its owner.
        """

    def watch(self, ref: "Ref") -> None:
        """Have one ``Down`` told to this actor when the present incarnation behind ``ref`` ends (at once if none)."""
        mine = self.actor_ref
        ref.monitor(lambda signal: _tell_quietly(mine, signal))

    def signal_at(self, when: float, signal: Signal) -> Timer:
        """Have ``signal`` come to ``on_signal`` at ``when``, monotonic seconds."""
        return self.runtime.timer.at(when, lambda: self.signal(signal))

    def signal(self, signal: Signal) -> None:
        """Have ``signal`` come to this actor's ``on_signal``, ahead of its messages. Any thread."""
        self.actor_inbox.put(Envelope(signal))

    def hold_reply(self) -> ReplyFuture | None:
        """The future of the asker of the message in hand, to be answered later; None for a tell. The handler then
        returns ``NO_REPLY``.
        """
        reply_to = self._in_hand.reply_to if self._in_hand is not None else None
        return reply_to if isinstance(reply_to, ReplyFuture) else None

    def announce_ready(self) -> None:
        """Tell the supervisor that the start succeeded. Once; not heard any more from an actor that was abandoned."""
        with self._life:
            if self.ready or self.exit_reason is not None:
                return
            self.ready = True
            watchers = list(self._watchers)
        _pass_on(Ready(self.path, self.incarnation), watchers)

    # ------------------------------------------------------------------------------- for supervisors and ladders

    def bind(self, runtime: "Runtime", path: str) -> None:
        """Give the actor its place in a tree. Before it is started."""
        self._runtime = runtime
        self._ref = runtime.ref(path)
        self.path = path

    def monitor(self, watcher: Watcher) -> None:
        """Call ``watcher`` with ``Ready`` and, exactly once, with ``Down``; in the thread where it happens, so it
        must only pass the signal on. Any thread.
        """
        with self._life:
            if self.exit_reason is None:
                self._watchers.append(watcher)
                return
        _pass_on(Down(self.path, self.incarnation, self.exit_reason, self.ready), [watcher])

    def request_stop(self, reason: ExitReason = SHUTDOWN) -> None:
        """First rung: ask politely. Any thread."""
        self.mailbox.put(Envelope(Stop(reason)))

    def request_cancel(self, reason: ExitReason) -> bool:
        """Second rung: cancel what the actor awaits. False if there is nothing to cancel. Any thread."""
        del reason
        return False

    def inject(self, reason: ExitReason) -> bool:
        """Fourth rung: raise ``Killed`` in the actor's thread. False if it is past its loop. Any thread."""
        raise NotImplementedError

    def stack(self) -> str:
        """Where the actor is now, as a formatted stack; empty if unknown. Any thread."""
        raise NotImplementedError

    def abandon(self, reason: ExitReason) -> None:
        """Last rung: it counts as dead from now on, whatever its thread still does. Any thread."""
        reason = attrs.evolve(reason, kind=ExitKind.ABANDONED)
        self._stop_reason = reason  # should it ever come back from where it is stuck, it ends
        self._fenced = True
        in_hand = self._in_hand
        self._finish(reason)
        if in_hand is not None:
            self._answer_dead(in_hand, reason)

    def release_aside(self, wait: float = 0.0) -> None:
        """Run ``release()`` in a thread of its own and wait at most ``wait`` seconds for it: one that blocks must not
        hold up the killer, who has the timers of everybody to serve. Never raises.
        """
        if type(self).release is Actor.release:
            return
        thread = threading.Thread(target=self._release_quietly, name=f"release {self.path}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had, as when the interpreter exits
            self._release_quietly()
        else:
            thread.join(wait)

    # -------------------------------------------------------------------------------------------- the inner life

    def _dispatch(self, message: Any) -> Any:
        """Handle one message. Returns the reply; for async actors possibly an awaitable."""
        if isinstance(message, Signal):
            if isinstance(message, Stop):
                self._stop_reason = message.reason
                return True
            return self.on_signal(message)
        if is_stop_request(message):
            self._stop_reason = SHUTDOWN
            return self._reply_when_down()
        return super()._handle_receive(message)

    def _reply_when_down(self) -> Any:
        """Pykka's blocking ``ref.stop()`` returns when the actor has ended, its stop hook included."""
        asker = self.hold_reply()
        if asker is not None:

            def hear(signal: Signal) -> None:
                if isinstance(signal, Down):
                    asker.offer()

            self.monitor(hear)
        return NO_REPLY

    def _reason_for(self, error: BaseException, detail: str = "") -> ExitReason:
        """The exit reason for what came out of a hook or handler."""
        if isinstance(error, ActorExit):
            return error.reason
        if self._kill_reason is not None and not isinstance(error, Exception):
            return self._kill_reason
        if isinstance(error, Killed):
            return ExitReason.of(ExitKind.KILLED, error, detail)
        return ExitReason.of(ExitKind.ERROR if self.ready else ExitKind.START_FAILED, error, detail)

    def _answer_error(self, error: BaseException, reason: ExitReason) -> None:
        """Tell the asker of the message in hand, if any, what its message did."""
        envelope = self._in_hand
        if envelope is None or envelope.reply_to is None:
            return
        if isinstance(error, Exception):
            offer(envelope.reply_to, error=error)
        else:
            self._answer_dead(envelope, reason)

    def _take(self, envelope: Envelope[Any]) -> bool:
        """Take a message in hand. False if the actor was abandoned meanwhile: then it is rejected.

        ``abandon`` fences first and looks at the message in hand then, this writes first and looks at the fence then:
        one of the two answers the asker.
        """
        self._in_hand = envelope
        if self._fenced:
            self._reject(envelope)
            return False
        return True

    def _limit_last_hook(self, reason: ExitReason) -> None:
        """Have the ladder end an actor whose last hook hangs: nobody else would, when it ends by itself."""
        if self._runtime is None or reason is self._stop_reason or math.isinf(self.last_hook_limit):
            return
        late = ExitReason(ExitKind.KILLED, f"its last hook took over {self.last_hook_limit:g} s", cause=reason)
        self._runtime.kill(self, Ladder(stop=self.last_hook_limit), late)

    def _finish(self, reason: ExitReason) -> None:
        """End the incarnation: exactly once, whoever comes first."""
        with self._life:
            if self.exit_reason is not None:
                late = True
            else:
                late = False
                self.exit_reason = reason
                watchers, self._watchers = self._watchers, []
        if late:
            if self._fenced and self._runtime is not None:
                self._runtime.forget_zombie(self)
                self._runtime.emit(ZombieEnded(self.path, self.incarnation))
            return
        try:
            self.actor_stopped.set()
            if self._runtime is None or self._runtime.registers(self):
                pykka.ActorRegistry.unregister(self.actor_ref)
            self.mailbox.close()
            if reason.kind is ExitKind.ABANDONED:
                self.release_aside(_RELEASE_WAIT)
            elif reason.abnormal:
                self._release_quietly()
        finally:
            _pass_on(Down(self.path, self.incarnation, reason, self.ready), watchers)

    def _release_quietly(self) -> None:
        try:
            self.release()
        except BaseException as error:  # noqa: BLE001 - the end goes on whatever a release hook does
            logger.opt(exception=error).error("{}: release() failed: {!r}", self.path, error)

    def _reject(self, envelope: Envelope[Any]) -> None:
        if envelope.reply_to is None:
            if self._runtime is not None and not isinstance(envelope.message, Signal):
                self._runtime.emit(DeadLetter(self.path, type(envelope.message).__name__, "closed"))
        elif isinstance(envelope.message, Stop) or is_stop_request(envelope.message):
            offer(envelope.reply_to, value=True)
        else:
            self._answer_dead(envelope, self.exit_reason)

    def _answer_dead(self, envelope: Envelope[Any], reason: ExitReason | None) -> None:
        if envelope.reply_to is not None:
            error = pykka.ActorDeadError(f"{self.path} ended before it answered ({reason})")
            offer(envelope.reply_to, error=error)


def offer(reply_to: Any, value: Any = None, error: BaseException | None = None) -> None:
    """Answer an ask that came through Pykka; its future is ours unless somebody built it by hand."""
    if isinstance(reply_to, ReplyFuture):
        reply_to.offer(value, error)
        return
    with contextlib.suppress(queue.Full):
        if error is None:
            reply_to.set(value)
        else:
            reply_to.set_exception((type(error), error, error.__traceback__))


def _pass_on(signal: Signal, watchers: Iterable[Watcher]) -> None:
    """Tell all watchers, also after one that raises."""
    for watcher in watchers:
        try:
            watcher(signal)
        except Exception as error:  # noqa: BLE001 - one watcher's fault must not keep the news from the others
            logger.opt(exception=error).error("a watcher failed on {!r}: {!r}", signal, error)


def _tell_quietly(target: "pykka.ActorRef[Any]", signal: Signal) -> None:
    """Pass a signal on; a watcher that has ended needs it no more."""
    target.actor_inbox.put(Envelope(signal))
