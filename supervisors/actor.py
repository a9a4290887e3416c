"""What thread actors and async actors have in common: what their authors use, and how a message is dispatched."""

import functools
import math
from collections.abc import Sequence
from types import FrameType
from typing import Any, ClassVar, Protocol

import pykka
from pykka import messages
from pykka._envelope import Envelope

from policies import validation
from supervisors import links, proxy
from supervisors.actor_timers import ActorTimer, start_timer
from supervisors.definitions import check_settings
from supervisors.exits import SHUTDOWN, ActorExit, ExitKind, ExitReason
from supervisors.future import ReplyFuture
from supervisors.incarnation import Incarnation, Watcher, offer
from supervisors.instruments import Instruments
from supervisors.mailboxes.mailbox import is_stop_request
from supervisors.ref import Ref, require_ref
from supervisors.refusals import MailboxFullError
from supervisors.signals import Down, Kill, Signal, Stop, SystemRequest
from supervisors.spec import Ladder
from supervisors.timer import Timer

NO_REPLY: Any = object()
"""Returned by a handler that answers its asker later, through ``Actor.hold_reply``."""

_SPECIAL = (Signal, messages._ActorStop, messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr)
"""Messages that do not go to ``on_receive``."""

_REQUESTS_PER_TURN = 8
"""System requests served in a row while messages wait; more of them wait behind those."""


class _Deferred(Envelope[Any]):
    """A system request that waits behind messages."""

    __slots__ = ()


class WaitCell(Protocol):
    """What stands still while a thread is blocked: a thread actor, or an event loop with all its actors."""

    blocked_on: ReplyFuture | None


class Actor(Incarnation):
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
    supervises: ClassVar[bool] = False
    """True if this type of actor has children."""
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

    def __init_subclass__(cls, **options: Any) -> None:
        """``ValueError`` for a subclass that is set up wrongly."""
        super().__init_subclass__(**options)
        check_settings(cls)

    # what an actor has only if it needs it
    handled_count = 0
    """Messages taken up so far, signals not counted."""
    suspended = False
    """True while only signals are served."""
    _stashed: "list[Envelope[Any]] | None" = None
    blocked_on: ReplyFuture | None = None
    """The answer that it waits for, if it waits for one."""
    _requests_in_row = (0, 0)

    # ------------------------------------------------------------------------------------------ for subclasses

    def on_signal(self, signal: Signal) -> Any:
        """A ``Down``, ``LinkDown`` or ``Timeout`` for this actor. The default ignores it."""

    def redact(self, name: str, value: Any) -> Any:
        """What people may see of ``value``, in ``get_state`` and traces: ``name`` is that of an attribute, or
        ``message``. Runs in the actor's thread. The default shows everything.
        """
        del name
        return value

    def signal(self, signal: Signal) -> None:
        """Have ``signal`` come to this actor's ``on_signal``, ahead of its messages. Any thread. ``ValueError`` for
        anything else: messages are told to the ``ref``.
        """
        validation.require_instance("Actor.signal: signal", signal, Signal)
        self.actor_inbox.put(Envelope(signal))

    def watch(self, ref: Ref) -> None:
        """Have one ``Down`` told to this actor when the present incarnation behind ``ref`` ends (at once if none).
        Watching the same incarnation again changes nothing. ``ValueError`` for what is no ``Ref``.
        """
        require_ref("Actor.watch: ref", ref)
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

    def unwatch(self, ref: Ref) -> None:
        """Hear no ``Down`` from ``ref`` any more, not even one that is on its way. In the actor's own thread.
        ``ValueError`` for what is no ``Ref``.
        """
        require_ref("Actor.unwatch: ref", ref)
        for incarnation, (target, hear) in tuple(self._watched.items()):
            if target.path == ref.path and self._watched.pop(incarnation, None) is not None:
                target.demonitor(hear)
        self.mailbox.drop_signals(lambda signal: isinstance(signal, Down) and signal.path == ref.path)

    def link(self, ref: Ref) -> None:
        """Share the fate of the present incarnation behind ``ref``: when one of the two ends abnormally, so does the
        other, with the kind ``linked``; if it traps exits it is told with ``LinkDown``. A link with nobody ends or
        tells this actor at once. Linking twice changes nothing. ``ValueError`` for what is no ``Ref``, and for a place
        above or below this actor's own: supervisors and those below them are tied already.
        """
        require_ref("Actor.link: ref", ref)
        links.link(self, ref)

    def unlink(self, ref: Ref) -> None:
        """Undo ``link``, for both. In the actor's own thread. ``ValueError`` for what is no ``Ref``."""
        require_ref("Actor.unlink: ref", ref)
        links.unlink(self, ref)

    def send_after(self, seconds: float, message: Any) -> ActorTimer:
        """Have ``message`` come to this actor in ``seconds``; a ``Signal`` comes to ``on_signal``. The timer ends with
        this incarnation. Any thread. ``ValueError`` for ``seconds`` that are negative or no finite number.
        """
        validation.require_duration("Actor.send_after: seconds", seconds)
        return start_timer(self, seconds, message, None)

    def send_every(self, period: float, message: Any, first: float | None = None) -> ActorTimer:
        """Have ``message`` come again and again, ``period`` seconds after the last was sent, at first in ``first``
        seconds (``period`` unless told otherwise). While one waits to be handled no other is sent. Any thread.
        ``ValueError`` for times that are no finite numbers, and for a ``period`` below a millisecond.
        """
        validation.require_duration("Actor.send_every: period", period, 0.001)
        first = period if first is None else first
        validation.require_duration("Actor.send_every: first", first)
        return start_timer(self, first, message, period)

    def signal_at(self, when: float, signal: Signal) -> Timer:
        """Have ``signal`` come to ``on_signal`` at ``when``, monotonic seconds; at once if that has passed.

        ``ValueError`` for a ``when`` that is no finite number, and for what is no ``Signal``.
        """
        validation.require_number("Actor.signal_at: when", when, -validation.CLOCK_LIMIT, validation.CLOCK_LIMIT)
        validation.require_instance("Actor.signal_at: signal", signal, Signal)
        return self.runtime.timer.at(when, lambda: self.signal(signal))

    def hold_reply(self, *, outlives: bool = False) -> ReplyFuture | None:
        """The future of the asker of the message in hand, to be answered later; None for a tell. The handler then
        returns ``NO_REPLY``. If this actor ends before, the asker gets ``pykka.ActorDeadError``; unless the future
        ``outlives`` it, because it is handed to somebody else, whose duty the answer is from then on.
        """
        reply_to = self._in_hand.reply_to if self._in_hand is not None else None
        if not isinstance(reply_to, ReplyFuture):
            return None
        if not outlives and reply_to not in self._held_replies:
            self._held_replies.add(reply_to)
            reply_to.add_done_callback(self._held_replies.discard)
        return reply_to

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
        envelope.reply_to = None  # it is answered when it comes back
        self._in_hand = None  # and is not to come back twice
        return NO_REPLY

    @property
    def stashed(self) -> int:
        """How many messages are put aside."""
        return len(self._stashed or ())

    def unstash_all(self) -> None:
        """Have the messages put aside come next, in their order, before those that wait. In the actor's own thread."""
        stashed, self._stashed = self._stashed, None
        if stashed:
            self.mailbox.put_back(stashed)

    # ------------------------------------------------------------------------------- for supervisors and ladders

    def request_cancel(self, reason: ExitReason) -> bool:
        """Second rung: cancel what the actor awaits. False if there is nothing to cancel. Any thread."""
        del reason
        return False

    def inject(self, reason: ExitReason) -> bool:
        """Fourth rung: raise ``Killed`` in the actor's thread. False if it is past its loop. Any thread."""
        raise NotImplementedError

    def _may_be_hit(self, frames: Sequence[FrameType]) -> bool:
        """True if ``Killed`` may be raised where these frames are, innermost first, in which this actor's code runs."""
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

    # ------------------------------------------------------------------------------------------ messages it takes

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

    def suspend(self) -> Any:
        """Serve nothing but signals, until ``suspended`` is unset or the end. For async actors an awaitable."""
        raise NotImplementedError

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
        asker = self.hold_reply(outlives=True)
        if asker is not None:

            def hear(signal: Signal) -> None:
                if isinstance(signal, Down):
                    asker.offer()

            self.monitor(hear)
        return NO_REPLY

    # -------------------------------------------------------------------------------- the end, and what goes with it

    def _limit_last_hook(self, reason: ExitReason) -> None:
        """Have the ladder end an actor whose last hook hangs: nobody else would, when it ends by itself."""
        if self._runtime is None or reason is self._stop_reason or math.isinf(self.last_hook_limit):
            return
        late = ExitReason(ExitKind.KILLED, f"its last hook took over {self.last_hook_limit:g} s", cause=reason)
        self._runtime.kill(self, Ladder(stop=self.last_hook_limit), late)

    def _let_go(self) -> None:
        """End what this incarnation had set up elsewhere, and give back what it had put aside."""
        for timer in tuple(self.__dict__.get("own_timers", ())):
            timer.cancel()
        for target, hear in tuple(self.__dict__.get("_watched", {}).values()):
            target.demonitor(hear)
        self.unstash_all()
        for future in tuple(self.__dict__.get("_held_replies", ())):
            future.offer(error=pykka.ActorDeadError(f"{self.path} ended before it answered ({self.exit_reason})"))

    def _part(self, reason: ExitReason) -> None:
        if "linked_peers" in self.__dict__:
            links.sever(self, reason)

    @functools.cached_property
    def instruments(self) -> Instruments:
        """Measures and traces of this actor."""
        return Instruments(self)

    @functools.cached_property
    def own_timers(self) -> set[ActorTimer]:
        """Those that have still something to send."""
        return set()

    @functools.cached_property
    def _held_replies(self) -> set[ReplyFuture]:
        """Of askers that this actor owes an answer."""
        return set()

    @functools.cached_property
    def linked_peers(self) -> dict[int, "Actor"]:
        """The actors that share this one's fate, by incarnation."""
        return {}

    @functools.cached_property
    def _watched(self) -> dict[int, tuple["Actor", Watcher]]:
        return {}
