"""What supervisors of both kinds do: deliver what happens to the pure core, and carry out what the core decides.

Never blocks. In which thread that runs is for ``Supervisor`` and ``AsyncSupervisor`` to say, how they wait for the next
message, and how they wait for their children when they crash.
"""

import itertools
import math
import random
from collections import deque
from typing import TYPE_CHECKING, Any

import attrs
import pykka
from pykka._envelope import Envelope

from supervisors.actor import NO_REPLY, Actor
from supervisors.children import CountChildren, GetChildSpec, WhichChildren
from supervisors.core import step
from supervisors.core.state import SupervisorState, child_spec, initial
from supervisors.core.state import count_children as count
from supervisors.core.state import which_children as which
from supervisors.core.transitions import (
    CancelTimer,
    ChildDeclined,
    ChildDown,
    ChildInfo,
    ChildReady,
    ChildRefused,
    Command,
    CoreEvent,
    DeleteChild,
    Exit,
    Init,
    InitDone,
    InitFailed,
    Reply,
    Report,
    ResetRestarts,
    RestartChild,
    SetTimer,
    StartActor,
    StartChild,
    StopActor,
    StopRequested,
    SupervisorError,
    TerminateChild,
    TimerFired,
)
from supervisors.events import Ended, Event, GaveUp, Restarted, Restarting, Started
from supervisors.exits import SHUTDOWN, ExitKind, ExitReason, Killed
from supervisors.foreign_code import STARTS_THREAD
from supervisors.future import ReplyFuture
from supervisors.hooks import run_hook
from supervisors.mailboxes.kept import KeptMails
from supervisors.mailboxes.mailbox import is_stop_request
from supervisors.signals import Down, Ready, Signal, Stop, Timeout
from supervisors.spec import SUPERVISOR_LADDER, ChildSpec, SupervisorSpec
from supervisors.subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from supervisors.timer import Timer

FAILURE_DEADLINE = 60.0
"""Seconds that a supervisor which crashed itself waits for its children to end."""


@attrs.frozen
class _ChildSignal(Signal):
    """A child's ``Ready`` or ``Down``, labelled with the attempt it belongs to."""

    child: str
    attempt: int
    signal: Signal


@attrs.frozen
class _Decided(Signal):
    """A start was decided at once. Waits behind messages, unless none are served: a child which always refuses must not
    starve requests, nor may a supervisor that is suspended wait for itself.
    """


@attrs.frozen
class _StartTimeout(Signal):
    child: str
    attempt: int


class Supervision(Actor):
    """Base of ``Supervisor`` and ``AsyncSupervisor``. The names of its children are its own: start functions, hooks and
    subscribers run where its messages are handled.
    """

    defers_ready = True
    supervises = True
    last_hook_limit = math.inf
    link_ladder = SUPERVISOR_LADDER

    spec: SupervisorSpec

    def _prepare(self, spec: SupervisorSpec) -> None:
        """The second half of the constructor."""
        if not isinstance(spec, SupervisorSpec):
            raise ValueError(f"{type(self).__name__} takes a SupervisorSpec, got {spec!r}")  # noqa: TRY004 - one error class for every bad field
        self.spec = spec
        self._state = initial(spec, self.path)
        self._random = random.Random()  # noqa: S311 - jitter
        self._actors: dict[str, tuple[int, Actor]] = {}
        self._timers: dict[str, Timer] = {}
        self._requests: dict[int, ReplyFuture | None] = {}
        self._mails = KeptMails()
        self._numbers = itertools.count(1)
        self._decided: deque[ChildDeclined | ChildRefused] = deque()

    def _begin(self) -> None:
        """Start the first children."""
        self._state = initial(self.spec, self.path)
        self._feed(Init())

    # ------------------------------------------------------------------------------------------ what comes in

    def _dispatch(self, message: Any) -> Any:
        if isinstance(message, _ChildSignal):  # the first, as each restart waits for it
            self._child_news(message.child, message.attempt, message.signal)
            return None
        if isinstance(message, Stop):
            self._feed(StopRequested(message.reason))
            return None
        if is_stop_request(message):  # Pykka's ref.stop() stops the tree as well
            self._feed(StopRequested(SHUTDOWN))
            return self._reply_when_down()
        return super()._dispatch(message)

    def on_signal(self, signal: Signal) -> None:
        match signal:
            case Timeout(token):
                self._timers.pop(token, None)
                self._feed(TimerFired(token))
            case _StartTimeout(child, attempt):
                self._start_timed_out(child, attempt)
            case _Decided():
                if self._decided:
                    self._feed(self._decided.popleft())

    def on_receive(self, message: Any) -> Any:
        match message:
            case WhichChildren():
                return self.children()
            case CountChildren():
                return count(self._state)
            case GetChildSpec(child):
                return self._spec_of(child)
            case StartChild() | TerminateChild() | RestartChild() | DeleteChild() | ResetRestarts():
                number = next(self._numbers)
                self._requests[number] = self.hold_reply()
                self._feed(attrs.evolve(message, request=number))
                return NO_REPLY
        return super().on_receive(message)

    def _spec_of(self, child: str) -> Any:
        try:
            return child_spec(self._state, child)
        except SupervisorError as error:
            asker = self.hold_reply()
            if asker is not None:
                asker.offer(error=error)
            return NO_REPLY

    def children(self) -> tuple[ChildInfo, ...]:
        """The children in start order. Any thread; a snapshot."""
        return which(self._state)

    # ---------------------------------------------------------------------------------------------- its own end

    def _take_all_along(self, why: str) -> list[ReplyFuture]:
        """Have all children end and answer the open requests: nobody serves them any more. Any thread. Returns what is
        answered when a child has ended, the last started first.
        """
        for timer in tuple(self._timers.values()):  # they would keep it in memory until they are due
            timer.cancel()
        for future in tuple(self._requests.values()):
            if future is not None:
                future.offer(error=pykka.ActorDeadError(f"{self.path} {why}"))
        reason = ExitReason(ExitKind.SHUTDOWN, f"{self.path} {why}")
        children = tuple(self._actors.items())
        return [self._take_along(child, actor, reason) for child, (_, actor) in reversed(children)]

    def _take_along(self, child: str, actor: Actor, reason: ExitReason) -> ReplyFuture:
        down = ReplyFuture()

        def hear(signal: Signal) -> None:
            if isinstance(signal, Down):
                down.offer()

        actor.monitor(hear)
        self.runtime.kill(actor, child_spec(self._state, child).shutdown, reason)
        return down

    def abandon(self, reason: ExitReason) -> None:
        """Nobody looks after its children any more: they are told to end now, in the killer's thread and after the
        parent has heard of it, however long the supervisor itself is stuck. From now on it does nothing.
        """
        super().abandon(reason)
        self._take_all_along("was abandoned")

    def _may_be_hit(self, frames: "Sequence[FrameType]") -> bool:
        """In a start function, hook or subscriber, or in a handler of a subclass; never while it keeps its books: a
        child would be launched and unknown, or known and never launched.
        """
        called = False
        for code in (frame.f_code for frame in frames):
            if code in _BOOKS or code is STARTS_THREAD:
                return False
            if called and code in _DOORS:
                return True
            called = True
        return super()._may_be_hit(frames)

    def _finish(self, reason: ExitReason) -> None:
        self._mails.give_up()  # whatever it ends of: nobody starts these children any more
        super()._finish(reason)

    # ------------------------------------------------------------------------------------- through the core

    def _feed(self, event: CoreEvent) -> None:
        before = self._state
        self._state, commands = step(before, event, self.runtime.clock.monotonic(), self._random)
        for command in commands:
            if self._fenced:  # it was stuck in foreign code meanwhile: all of that is its successor's by now
                return
            self._carry_out(command, before)
        self._mails.settle(self._state, getattr(event, "child", None) if before.phase is self._state.phase else None)

    def _carry_out(self, command: Command, before: SupervisorState) -> None:
        match command:
            case StartActor(spec, attempt):
                self._start_child(spec, attempt)
            case StopActor(child, attempt, reason):
                self._stop_child(child, attempt, reason)
            case SetTimer(timer, at):
                self._set_timer(timer, at)
            case CancelTimer(timer):
                due = self._timers.pop(timer, None)
                if due is not None:
                    due.cancel()
            case Reply(request, value, error):
                future = self._requests.pop(request, None)
                if future is not None:
                    future.offer(value, error)
            case Report(event):
                self.runtime.emit(event)
                self._run_hooks(event, before)
            case InitDone():
                self.announce_ready()
            case InitFailed(reason) | Exit(reason):
                self._stop_reason = reason

    def _run_hooks(self, event: Event, before: SupervisorState) -> None:
        """Call what the user wants to be called. The child may be forgotten by now, so the state before is asked."""
        match event:
            case GaveUp():
                run_hook(self.spec.give_up_hook, event)
            case Ended() | Restarting():
                row = before.children.get(event.path.rpartition("/")[2])
                if row is not None:
                    hooks = row.spec.hooks
                    run_hook(hooks.terminated if isinstance(event, Ended) else hooks.restarting, event)

    # ---------------------------------------------------------------------------------------------- children

    def _start_child(self, spec: ChildSpec, attempt: int) -> None:
        try:
            actor = _made(spec)
        except Killed:  # meant for this supervisor
            raise
        except BaseException as error:  # noqa: BLE001 - the child's problem, answered as a refused start
            self._decide(ChildRefused(spec.id, attempt, ExitReason.of(ExitKind.START_FAILED, error)))
            return
        if actor is None:
            self._decide(ChildDeclined(spec.id, attempt))
            return
        if self.fenced:  # it was stuck in the start function: the place is its successor's by now
            return
        self._actors[spec.id] = (attempt, actor)
        inbox = self.actor_inbox
        actor.monitor(lambda signal: inbox.put(Envelope(_ChildSignal(spec.id, attempt, signal))))
        path = f"{self.path}/{spec.id}"
        if spec.mailbox is not None:
            self._mails.deliver(spec.id, spec.mailbox, self.runtime.ref(path), actor)
        self.runtime.launch(actor, path)
        if not math.isinf(spec.start_timeout):
            self._timers[_start_timer(spec.id)] = self.runtime.timer.after(
                spec.start_timeout, lambda: inbox.put(Envelope(_StartTimeout(spec.id, attempt)))
            )

    def _decide(self, event: ChildDeclined | ChildRefused) -> None:
        self._decided.append(event)
        put = self.mailbox.put if self.suspended else self.mailbox.put_last
        put(Envelope(_Decided()))

    def suspend(self) -> Any:
        for _ in self._decided:  # those that wait behind messages, which are not served for a while
            self.actor_inbox.put(Envelope(_Decided()))
        return super().suspend()

    def _child_news(self, child: str, attempt: int, news: Signal) -> None:
        present, actor = self._actors.get(child, (0, None))
        if present != attempt or actor is None:
            return
        starting = self._timers.pop(_start_timer(child), None)
        if starting is not None:
            starting.cancel()
        if isinstance(news, Ready):
            started = Started(actor.path, actor.incarnation)
            self.runtime.emit(started)
            row = self._state.children.get(child)
            if row is not None:
                run_hook(row.spec.hooks.restarted if row.times_up else row.spec.hooks.started, started)
            self._feed(ChildReady(child, attempt))
            row = self._state.children.get(child)
            if row is not None and row.times_up > 1:
                self.runtime.emit(Restarted(actor.path, actor.incarnation, row.times_up - 1))
        elif isinstance(news, Down):
            del self._actors[child]
            actor.ref.point_to(None)
            event = ChildDown if news.was_ready else ChildRefused
            self._feed(event(child, attempt, news.reason))

    def _start_timed_out(self, child: str, attempt: int) -> None:
        present, actor = self._actors.get(child, (0, None))
        if present == attempt and actor is not None and not actor.ready:
            spec = child_spec(self._state, child)
            reason = ExitReason(ExitKind.START_FAILED, f"not ready within {spec.start_timeout} s")
            self.runtime.kill(actor, spec.shutdown, reason)

    def _stop_child(self, child: str, attempt: int, reason: ExitReason) -> None:
        present, actor = self._actors.get(child, (0, None))
        if present == attempt and actor is not None:
            self.runtime.kill(actor, child_spec(self._state, child).shutdown, reason)

    def _set_timer(self, timer: str, at: float) -> None:
        previous = self._timers.pop(timer, None)
        if previous is not None:
            previous.cancel()
        inbox = self.actor_inbox
        self._timers[timer] = self.runtime.timer.at(at, lambda: inbox.put(Envelope(Timeout(timer))))


def _made(spec: ChildSpec) -> Actor | None:
    """What the start function makes, if that is something to start."""
    actor: object = spec.start()
    if actor is None:
        return None
    if not isinstance(actor, Actor):
        raise TypeError(f"start of child {spec.id!r} must make an Actor, not yet running, or None; it made {actor!r}")
    if actor.bound:
        raise ValueError(f"start of child {spec.id!r} must make a new Actor each time; {actor.path} was started before")
    return actor


_DOORS = frozenset((_made.__code__, run_hook.__code__, Subscribers.tell.__code__))
"""Where a supervisor calls foreign code."""

_BOOKS = frozenset(
    (
        Supervision._feed.__code__,
        Supervision._child_news.__code__,
        Supervision._start_timed_out.__code__,
        Supervision._take_all_along.__code__,
        Supervision.suspend.__code__,
    )
)
"""Where it keeps its books."""


def _start_timer(child: str) -> str:
    return f"start {child}"
