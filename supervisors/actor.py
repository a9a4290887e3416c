"""The life of one incarnation: what thread actors and async actors have in common.

An actor is made in its supervisor's thread, started by the runtime, and ends exactly once with one exit reason, whoever
decides it first: its own loop, or the kill ladder that abandons it.
"""

import contextlib
import functools
import itertools
import math
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import attrs
import pykka
from loguru import logger
from pykka import messages
from pykka._envelope import Envelope

from supervisors import links, proxy
from supervisors.actor_timers import ActorTimer, OwnEnvelope, start_timer
from supervisors.events import MailboxHigh, ZombieEnded
from supervisors.exits import SHUTDOWN, ActorExit, ExitKind, ExitReason, Killed
from supervisors.future import ReplyFuture
from supervisors.instruments import Instruments
from supervisors.mailboxes.bounded import MessageLane
from supervisors.mailboxes.mailbox import is_stop_request
from supervisors.mailboxes.policy import MailboxPolicy
from supervisors.refusals import MailboxFullError, NotHandledError
from supervisors.signals import Down, Kill, Ready, Signal, Stop, SystemRequest
from supervisors.spec import Ladder
from supervisors.timer import Timer

if TYPE_CHECKING:
    from supervisors.mailboxes.kept import KeptMail
    from supervisors.ref import Ref
    from supervisors.runtime import Runtime

_incarnations = itertools.count(1)
Watcher = Callable[[Signal], None]

NO_REPLY: Any = object()
"""Returned by a handler that answers its asker later, through ``Actor.hold_reply``."""

_SPECIAL = (Signal, messages._ActorStop, messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr)
"""Messages that do not go to ``on_receive``."""

_REQUESTS_PER_TURN = 8
"""System requests served in a row while messages wait; more of them wait behind those."""

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


class _Deferred(Envelope[Any]):
    """A system request that waits behind messages."""

    __slots__ = ()


class WaitCell(Protocol):
    """What stands still while a thread is blocked: a thread actor, or an event loop with all its actors."""

    blocked_on: ReplyFuture | None


class Actor(pykka.Actor):
    """Base of both actor types; not started by ``start()`` but by a supervisor, through ``Runtime.launch``.

    Hooks, all run by the actor itself unless stated: ``on_start`` (raise to refuse the start), ``on_receive``,
    ``on_signal`` (``Down`` of watched actors, ``LinkDown`` of linked ones if it traps exits, ``Timeout``), ``on_stop``
    (it was asked to stop, or ended normally), ``on_failure`` (it ends abnormally), ``release`` (**the killer's
    thread**).
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
    traps_exits: bool = False
    """True if the ends of linked actors are told to ``on_signal`` as ``LinkDown``, instead of ending this one too. May
    be set for a class, or for one actor.
    """
    link_ladder: ClassVar[Ladder] = Ladder()
    """How the end of a linked actor ends this one."""
    stash_limit: ClassVar[int] = 10_000
    """Messages that may be put aside with ``stash``."""

    # what an actor has only if it needs it
    handled_count = 0
    """Messages taken up so far, signals not counted."""
    started_at: float | None = None
    """When it was launched, seconds since the epoch."""
    suspended = False
    """True while only signals are served."""
    _stashed: "list[Envelope[Any]] | None" = None
    blocked_on: ReplyFuture | None = None
    """The answer that it waits for, if it waits for one."""
    _requests_in_row = (0, 0)

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
        """A ``Down``, ``LinkDown`` or ``Timeout`` for this actor. The default ignores it."""

    def redact(self, name: str, value: Any) -> Any:
        """What people may see of ``value``, in ``get_state`` and traces: ``name`` is that of an attribute, or
        ``message``. Runs in the actor's thread. The default shows everything.
        """
        del name
        return value

    def release(self) -> None:
        """Free what this actor is blocked on: kill its process, shut its socket down. Runs in the killer's thread,
        possibly while the actor is running, and after it ended abnormally; it must be quick and take no locks of
        the actor. Called for every abnormal end, so that no OS resource outlives its owner.
        """

    def watch(self, ref: "Ref") -> None:
        """Have one ``Down`` told to this actor when the present incarnation behind ``ref`` ends (at once if none).
        Watching the same incarnation again changes nothing.
        """
        target = ref.actor
        if target is None:
            self.signal(Down(ref.path, 0, ExitReason(ExitKind.NOPROC, f"{ref.path} is down")))
            return
        watched = self._watched
        incarnation = target.incarnation
        if incarnation in watched:
            return

        def hear(signal: Signal) -> None:
            if isinstance(signal, Down) and watched.pop(incarnation, None) is not None:
                self.signal(signal)

        watched[incarnation] = (target, hear)
        target.monitor(hear)

    def unwatch(self, ref: "Ref") -> None:
        """Hear no ``Down`` from ``ref`` any more, not even one that is on its way. In the actor's own thread."""
        for incarnation, (target, hear) in tuple(self._watched.items()):
            if target.path == ref.path and self._watched.pop(incarnation, None) is not None:
                target.demonitor(hear)
        self.mailbox.drop_signals(lambda signal: isinstance(signal, Down) and signal.path == ref.path)

    def link(self, ref: "Ref") -> None:
        """Share the fate of the present incarnation behind ``ref``: when one of the two ends abnormally, so does the
        other, with the kind ``linked``; if it traps exits it is told with ``LinkDown``. A link with nobody ends or
        tells this actor at once. Linking twice changes nothing.
        """
        links.link(self, ref)

    def unlink(self, ref: "Ref") -> None:
        """Undo ``link``, for both. In the actor's own thread."""
        links.unlink(self, ref)

    def send_after(self, seconds: float, message: Any) -> ActorTimer:
        """Have ``message`` come to this actor in ``seconds``; a ``Signal`` comes to ``on_signal``. The timer ends with
        this incarnation. Any thread.
        """
        return start_timer(self, seconds, message, None)

    def send_every(self, period: float, message: Any, first: float | None = None) -> ActorTimer:
        """Have ``message`` come again and again, ``period`` seconds after the last was sent, at first in ``first``
        seconds (``period`` unless told otherwise). While one waits to be handled no other is sent. Any thread.
        """
        return start_timer(self, period if first is None else first, message, period)

    def signal_at(self, when: float, signal: Signal) -> Timer:
        """Have ``signal`` come to ``on_signal`` at ``when``, monotonic seconds."""
        return self.runtime.timer.at(when, lambda: self.signal(signal))

    def stash(self) -> Any:
        """Put the message in hand aside, with its asker; ``unstash_all`` brings it back. Returns ``NO_REPLY``, to be
        returned by the handler. Raises ``MailboxFullError`` beyond ``stash_limit``, ``RuntimeError`` without a message
        or for the second time: it would be handled twice.
        """
        envelope = self._in_hand
        if envelope is None:
            raise RuntimeError(f"{self.path} has no message in hand to put aside, or has done so before")
        if self._stashed is None:
            self._stashed = []
        if len(self._stashed) >= self.stash_limit:
            raise MailboxFullError(
                f"{self.path} has put {self.stash_limit} messages aside: unstash_all, or raise the limit"
            )
        self._stashed.append(type(envelope)(envelope.message, envelope.reply_to))
        envelope.reply_to = self._in_hand = None  # it is answered when it comes back
        return NO_REPLY

    def unstash_all(self) -> None:
        """Have the messages put aside come next, in their order, before those that wait. In the actor's own thread."""
        stashed, self._stashed = self._stashed, None
        if stashed:
            self.mailbox.put_back(stashed)

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
        self.started_at = time.time()

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

    @property
    def lane(self) -> MessageLane | None:
        """Bound, age and high water of the mailbox; None without a policy."""
        return getattr(self.actor_inbox, "lane", None)

    def monitor(self, watcher: Watcher) -> None:
        """Call ``watcher`` with ``Ready`` and, exactly once, with ``Down``; in the thread where it happens, so it
        must only pass the signal on. Any thread.
        """
        with self._life:
            if self.exit_reason is None:
                self._watchers.append(watcher)
                return
        _pass_on(Down(self.path, self.incarnation, self.exit_reason, self.ready), [watcher])

    def demonitor(self, watcher: Watcher) -> None:
        """Tell ``watcher`` nothing more. One that does not watch is no error. Any thread."""
        with self._life, contextlib.suppress(ValueError):
            self._watchers.remove(watcher)

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

    def end_with_peer(self, reason: ExitReason) -> None:
        """A linked actor has ended, and this one is to end too. Any thread."""
        if self._runtime is None:
            self.request_stop(reason)
        else:
            self._runtime.kill(self, self.link_ladder, reason)

    def waits_for(self) -> tuple[ReplyFuture, ...]:
        """The answers without which this actor does not go on. Any thread."""
        waited = self.blocked_on
        return (waited,) if waited is not None else ()

    def wait_cell(self) -> "WaitCell | None":
        """Where to publish that code of this actor blocks the calling thread; None if that does not hold it up."""
        return None

    def awaits(self) -> bool:
        """True if the calling task is the one in which this actor serves its mailbox."""
        return False

    def stands_still_with(self, other: "Actor") -> bool:
        """True if this actor does not go on while ``other`` waits: it is the same one, or shares its event loop."""
        return self is other

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
        if isinstance(message, _SPECIAL):
            return self._dispatch_special(message)
        self.handled_count += 1
        return self.on_receive(message)

    def _dispatch_special(self, message: Any) -> Any:
        if isinstance(message, Stop):
            self._stop_reason = message.reason
            return True
        if isinstance(message, Kill):
            raise ActorExit(message.reason)
        if isinstance(message, SystemRequest):
            return self._serve_request(message)
        if isinstance(message, Signal):
            return self.on_signal(message)
        if is_stop_request(message):
            self._stop_reason = SHUTDOWN
            return self._reply_when_down()
        self.handled_count += 1
        try:
            return proxy.serve(self, message)
        except proxy.NoAttributeError as error:
            envelope = self._in_hand
            if envelope is not None and envelope.reply_to is not None:
                offer(envelope.reply_to, error=error)
            elif self._ref is not None:
                self.ref.refuse(Envelope(message), "no_attribute")
            return NO_REPLY

    def _serve_request(self, request: SystemRequest) -> Any:
        """Serve a system request, unless so many came in a row that the messages that wait have to come first. One that
        has waited behind them is served in any case.
        """
        envelope = self._in_hand
        assert envelope is not None
        if isinstance(envelope, _Deferred):
            return request.serve(self)
        handled, served = self._requests_in_row
        served = served + 1 if handled == self.handled_count else 1
        self._requests_in_row = (self.handled_count, served)
        if served > _REQUESTS_PER_TURN and request.can_wait and not self.suspended and self.mailbox.has_messages():
            self.mailbox.put_last(_Deferred(envelope.message, envelope.reply_to))
            return NO_REPLY
        return request.serve(self)

    def _drains_on(self) -> bool:
        """True if the mailbox is served to its end although the actor was told to stop."""
        return self.drains and self._stop_reason is not None and not self._stop_reason.abnormal

    def _answer_at_once(self) -> None:
        """Say that the system request in hand is carried out, before its handler has returned."""
        envelope, self._in_hand = self._in_hand, None
        if envelope is not None and envelope.reply_to is not None:
            offer(envelope.reply_to, value=True)

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
            if "linked_peers" in self.__dict__:
                links.sever(self, reason)

    def _let_go(self) -> None:
        """End what this incarnation had set up elsewhere, and give back what it had put aside."""
        for timer in tuple(self.__dict__.get("own_timers", ())):
            timer.cancel()
        for target, hear in tuple(self.__dict__.get("_watched", {}).values()):
            target.demonitor(hear)
        self.unstash_all()

    @functools.cached_property
    def instruments(self) -> Instruments:
        """Measures and traces of this actor."""
        return Instruments(self)

    @property
    def stashed(self) -> int:
        """How many messages are put aside."""
        return len(self._stashed or ())

    def suspend(self) -> Any:
        """Serve nothing but signals, until ``suspended`` is unset or the end. For async actors an awaitable."""
        raise NotImplementedError

    @functools.cached_property
    def own_timers(self) -> set[ActorTimer]:
        """Those that have still something to send."""
        return set()

    @functools.cached_property
    def linked_peers(self) -> dict[int, "Actor"]:
        """The actors that share this one's fate, by incarnation."""
        return {}

    @functools.cached_property
    def _watched(self) -> dict[int, tuple["Actor", Watcher]]:
        return {}

    def _release_quietly(self) -> None:
        try:
            self.release()
        except BaseException as error:  # noqa: BLE001 - the end goes on whatever a release hook does
            logger.opt(exception=error).error("{}: release() failed: {!r}", self.path, error)

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
        except Exception as error:  # noqa: BLE001 - one watcher's fault must not keep the news from the others
            logger.opt(exception=error).error("a watcher failed on {!r}: {!r}", signal, error)
