"""The life of one incarnation: what is told of it, and its end, exactly once, with one exit reason.

It is made by its supervisor, started by the runtime, and ended by whoever comes first: its own loop, or the
kill ladder that abandons it.
"""

import contextlib
import itertools
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

import attrs
import pykka
from loguru import logger
from pykka._envelope import Envelope

from policies import validation
from policies.short_text import short_text
from supervisors.actor_timers import OwnEnvelope
from supervisors.events import MailboxHigh, ZombieEnded
from supervisors.exits import SHUTDOWN, ActorExit, ExitKind, ExitReason, Killed
from supervisors.future import ReplyFuture
from supervisors.mailboxes.bounded import MessageLane
from supervisors.mailboxes.mailbox import is_stop_request
from supervisors.mailboxes.policy import MailboxPolicy
from supervisors.refusals import NotHandledError
from supervisors.signals import Down, Ready, Signal, Stop

if TYPE_CHECKING:
    from supervisors.mailboxes.kept import KeptMail
    from supervisors.ref import Ref
    from supervisors.runtime import Runtime

_incarnations = itertools.count(1)
Watcher = Callable[[Signal], None]

_RELEASE_WAIT = 0.5
"""Seconds that the end of an abandoned actor waits for its ``release()``, so that its successor finds things freed."""


class ActorMailbox(Protocol):
    """What an actor needs of its mailbox, beyond Pykka's inbox."""

    closed: bool
    keeper: "KeptMail | None"
    on_reject: Callable[[Envelope[Any]], None] | None

    def put(self, envelope: Envelope[Any], /) -> None: ...
    def put_back(self, envelopes: Sequence[Envelope[Any]]) -> None: ...
    def put_last(self, envelope: Envelope[Any]) -> None: ...
    def drop_signals(self, unwanted: Callable[[Any], bool]) -> None: ...
    def has_messages(self) -> bool: ...
    def qsize(self) -> int: ...
    def close(self) -> None: ...


class Incarnation(pykka.Actor):
    """Base of ``Actor``: a place in a tree, a mailbox, those who watch it, and the end.

    Only the actor's own thread or loop takes messages in hand; what an end changes is changed under the lock ``_life``.
    """

    started_at: float | None = None
    """When it was launched, seconds since the epoch."""

    def __init__(self) -> None:
        # without Pykka's own: an event, a unique number and a reference of Pykka's are made for those who ask for them
        self.actor_inbox = self._create_actor_inbox()
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

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """Pykka's unique name of this incarnation."""
        return self.__dict__.get("_urn") or self.__dict__.setdefault("_urn", uuid.uuid4().urn)  # type: ignore[no-any-return]

    @property
    def actor_ref(self) -> pykka.ActorRef[Self]:
        """Pykka's reference to this incarnation; the ``ref`` of a tree is ``Actor.ref``. The same one for everybody."""
        return self.__dict__.get("_pykka_ref") or self.__dict__.setdefault("_pykka_ref", pykka.ActorRef(self))  # type: ignore[no-any-return]

    @property
    def actor_stopped(self) -> threading.Event:  # type: ignore[override]
        """Set once the incarnation has ended."""
        stopped: threading.Event = self.__dict__.setdefault("_stopped", threading.Event())
        if self.exit_reason is not None:  # looked at last, and the end looks for the event last: one sees the other
            stopped.set()
        return stopped

    # --------------------------------------------------------------------------------------- its place in a tree

    def bind(self, runtime: "Runtime", path: str) -> None:
        """Give the actor its place in a tree. Before it is started."""
        self._runtime = runtime
        self._ref = runtime.ref(path)
        self.path = path
        self.started_at = time.time()

    @property
    def runtime(self) -> "Runtime":
        """The runtime that started this actor."""
        assert self._runtime is not None, f"{self.path} was not started by a runtime"
        return self._runtime

    @property
    def ref(self) -> "Ref":
        """The stable reference to this actor's path."""
        assert self._ref is not None, f"{self.path} was not started by a runtime"
        return self._ref

    @property
    def bound(self) -> bool:
        """True once a runtime has started it: an actor lives once, a restart needs a new one. ``RuntimeError`` if its
        constructor was not run to the end.
        """
        try:
            return self._runtime is not None
        except AttributeError:
            raise RuntimeError(f"{type(self).__name__}.__init__ must begin with super().__init__()") from None

    @property
    def mailbox(self) -> ActorMailbox:
        """The inbox, with the methods that Pykka's protocol lacks."""
        return self.actor_inbox  # type: ignore[return-value]

    @property
    def lane(self) -> MessageLane | None:
        """Bound, age and high water of the mailbox; None without a policy."""
        return getattr(self.actor_inbox, "lane", None)

    def use_mailbox(self, policy: MailboxPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        """Exchange the mailbox for one with a policy. Before the actor is started; what is in the old one moves over,
        and so does what somebody may still put there. ``clock`` measures how long messages wait.
        """
        old, new = self.mailbox, self._mailbox_with(policy, clock)
        new.on_reject = self._reject
        self.actor_inbox = self.actor_ref.actor_inbox = new  # type: ignore[assignment]
        lane = self.lane
        assert lane is not None
        lane.on_full, lane.on_high = self._found_no_room, self._mailbox_is_high
        old.on_reject = new.put
        old.close()

    def _mailbox_with(self, policy: MailboxPolicy, clock: Callable[[], float]) -> ActorMailbox:
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------ what is told of it

    def announce_ready(self) -> None:
        """Tell the supervisor that the start succeeded. Once; not heard any more from an actor that was abandoned."""
        with self._life:
            if self.ready or self.exit_reason is not None:
                return
            self.ready = True
            watchers = list(self._watchers)
        _pass_on(Ready(self.path, self.incarnation), watchers)

    def monitor(self, watcher: Watcher) -> None:
        """Call ``watcher`` with ``Ready`` and, exactly once, with ``Down``; in the thread where it happens, so it
        must only pass the signal on. Any thread. ``ValueError`` for what cannot be called.
        """
        validation.require_function("Actor.monitor: watcher", watcher)
        with self._life:
            if self.exit_reason is None:
                self._watchers.append(watcher)
                return
        _pass_on(Down(self.path, self.incarnation, self.exit_reason, self.ready), [watcher])

    def demonitor(self, watcher: Watcher) -> None:
        """Tell ``watcher`` nothing more. One that does not watch is no error. Any thread."""
        with self._life, contextlib.suppress(ValueError):
            self._watchers.remove(watcher)

    # -------------------------------------------------------------------------------------------------- its end

    def request_stop(self, reason: ExitReason = SHUTDOWN) -> None:
        """First rung: ask politely. Any thread."""
        self.mailbox.put(Envelope(Stop(reason)))

    def release(self) -> None:
        """Free what this actor is blocked on: kill its process, shut its socket down. Runs in the killer's thread,
        possibly while the actor is running, and after it ended abnormally; it must be quick and take no locks of
        the actor. Called for every abnormal end, so that no OS resource outlives its owner.
        """

    def abandon(self, reason: ExitReason) -> None:
        """Last rung: it counts as dead from now on, whatever its thread still does. Any thread."""
        reason = attrs.evolve(reason, kind=ExitKind.ABANDONED)
        self._stop_reason = reason  # should it ever come back from where it is stuck, it ends
        self._fenced = True
        in_hand = self._in_hand
        self._finish(reason)
        if in_hand is not None:
            self._answer_dead(in_hand, reason)

    @property
    def fenced(self) -> bool:
        """True once abandoned: what this incarnation still sends is dropped."""
        return self._fenced

    def release_aside(self, wait: float = 0.0) -> None:
        """Run ``release()`` in a thread of its own and wait at most ``wait`` seconds for it: one that blocks must not
        hold up the killer, who has the timers of everybody to serve, and is neither called nor waited for again. Never
        raises.
        """
        running: threading.Thread | None = self.__dict__.get("_releasing")
        if type(self).release is Incarnation.release or (running is not None and running.is_alive()):
            return
        thread = self.__dict__["_releasing"] = threading.Thread(
            target=self._release_quietly, name=f"release {self.path}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no thread to be had, as when the interpreter exits
            self._release_quietly()
        else:
            thread.join(wait)

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
            if "_stopped" in self.__dict__:
                self.actor_stopped.set()
            if self._runtime is None or self._runtime.registers(self):
                pykka.ActorRegistry.unregister(self.actor_ref)
            self._let_go()
            self.mailbox.close()
            if reason.kind is ExitKind.ABANDONED:
                self.release_aside(_RELEASE_WAIT)
            elif reason.abnormal:
                self._release_quietly()
        finally:
            _pass_on(Down(self.path, self.incarnation, reason, self.ready), watchers)
            self._part(reason)

    def _let_go(self) -> None:
        """End what this incarnation had set up elsewhere. Before anybody hears of the end."""

    def _part(self, reason: ExitReason) -> None:
        """Pass the end on to those who share the fate of this incarnation."""

    def _release_quietly(self) -> None:
        try:
            self.release()
        except BaseException as error:  # noqa: BLE001 - the end goes on whatever a release hook does
            logger.opt(exception=error).error("{}: release() failed: {}", self.path, short_text(error))

    def _reason_for(self, error: BaseException, detail: str = "") -> ExitReason:
        """The exit reason for what came out of a hook or handler."""
        if isinstance(error, ActorExit):
            return error.reason
        if self._kill_reason is not None and not isinstance(error, Exception):
            return self._kill_reason
        if isinstance(error, Killed):
            return ExitReason.of(ExitKind.KILLED, error, detail)
        return ExitReason.of(ExitKind.ERROR if self.ready else ExitKind.START_FAILED, error, detail)

    # ----------------------------------------------------------------------------------- messages and their askers

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

    def _answer_error(self, error: BaseException, reason: ExitReason) -> None:
        """Tell the asker of the message in hand, if any, what its message did."""
        envelope = self._in_hand
        if envelope is None or envelope.reply_to is None:
            return
        if isinstance(error, Exception):
            offer(envelope.reply_to, error=error)
        else:
            self._answer_dead(envelope, reason)

    def _reject(self, envelope: Envelope[Any]) -> None:
        """It came to a closed mailbox, or the actor ended before it took it up."""
        if isinstance(envelope, OwnEnvelope):
            return
        if envelope.reply_to is None:
            if self._ref is not None and not isinstance(envelope.message, Signal):
                self.ref.refuse(envelope, "closed")
        elif isinstance(envelope.message, Stop) or is_stop_request(envelope.message):
            offer(envelope.reply_to, value=True)
        else:
            self._answer_dead(envelope, self.exit_reason, NotHandledError)

    def _found_no_room(self, envelope: Envelope[Any], why: str) -> None:
        if self._ref is not None:
            self._ref.refuse(envelope, why)

    def _mailbox_is_high(self, waiting: int) -> None:
        if self._runtime is not None and self.lane is not None:
            self._runtime.emit(MailboxHigh(self.path, self.incarnation, waiting, self.lane.policy.limit))

    def _answer_dead(
        self,
        envelope: Envelope[Any],
        reason: ExitReason | None,
        kind: type[pykka.ActorDeadError] = pykka.ActorDeadError,
    ) -> None:
        if envelope.reply_to is not None:
            offer(envelope.reply_to, error=kind(f"{self.path} ended before it answered ({reason})"))


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
        except Killed:  # meant for the actor in whose thread this runs
            raise
        except BaseException as error:  # noqa: BLE001 - one watcher's fault must not keep the news from the others
            text = short_text(signal)
            logger.opt(exception=error).error("a watcher failed on {}: {}", text, short_text(error))
