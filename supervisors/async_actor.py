"""An actor on an event loop: for everything that awaits. Many may share one loop."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from policies import validation
from supervisors.actor import NO_REPLY, Actor, WaitCell
from supervisors.confinement import Confinement, start
from supervisors.current import current, runs_on
from supervisors.definitions import check_called, check_plain
from supervisors.exits import SHUTDOWN, ExitReason
from supervisors.foreign_code import INJECTION_PAUSE, INJECTION_TRIES, in_foreign_code
from supervisors.incarnation import offer
from supervisors.loop_thread import LoopThread
from supervisors.mailboxes.bounded import BoundedLoopMailbox
from supervisors.mailboxes.mailbox import LoopMailbox
from supervisors.mailboxes.policy import MailboxPolicy
from supervisors.threads import coroutine_stack, format_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from types import FrameType

    from supervisors.future import ReplyFuture

_TURN = 256
"""Messages handled in a row before the other actors of the loop get their turn: handlers need not ever suspend."""


class AsyncActor(Actor):
    """One serving coroutine on a ``LoopThread``. The hooks ``set_up`` and ``tear_down`` are coroutine functions and
    stand in for Pykka's ``on_start``, ``on_stop`` and ``on_failure``; ``on_receive`` may be a coroutine function.

    Messages are handled one at a time; a stop request waits for the message in hand, until the ladder cancels it.
    """

    cancels = True
    actor_inbox: LoopMailbox

    def __init_subclass__(cls, **options: Any) -> None:
        """``ValueError`` for a subclass with hooks of Pykka that are never called here."""
        super().__init_subclass__(**options)
        check_called(cls, {"on_start": "set_up", "on_stop": "tear_down", "on_failure": "tear_down"})
        check_plain(cls, ("release",))

    def __init__(self, loop: LoopThread) -> None:
        validation.require_instance(f"{type(self).__name__}.loop", loop, LoopThread)
        super().__init__()
        self.loop_thread = loop
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._attached = False

    @staticmethod
    def _create_actor_inbox() -> LoopMailbox:
        return LoopMailbox()

    def _mailbox_with(self, policy: MailboxPolicy, clock: "Callable[[], float]") -> BoundedLoopMailbox:
        return BoundedLoopMailbox(policy, clock)

    def _start_actor_loop(self) -> None:
        self.loop_thread.attach(self)
        self._attached = True
        if runs_on(self.loop_thread.loop):
            self._spawn()
        else:
            self.loop_thread.loop.call_soon_threadsafe(self._spawn)  # open for as long as an actor is attached

    def _spawn(self) -> None:
        inbox = self.actor_inbox
        inbox.loop, inbox.on_wake = self.loop_thread.loop, self._wake
        with self._life:
            if self.exit_reason is None:
                run = self._run()
                self.loop_thread.coroutines[run] = self
                self._task = start(self.loop_thread.loop, run, self.path, None)
                self._task.add_done_callback(self._over)
                return
        self._finish(self.exit_reason)  # abandoned on a blocked loop before it began: now its zombie ends

    def _over(self, task: "asyncio.Task[None]") -> None:
        """The task has ended; before its first step, if somebody cancelled it so early: then nobody has told yet."""
        if self.loop_thread.coroutines.pop(task.get_coro(), None) is not None:
            self._detach()
            self._finish(self._reason_for(asyncio.CancelledError("cancelled before it began")))

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    # --------------------------------------------------------------------------------------------------- hooks

    async def set_up(self) -> None:
        """Runs on the loop before the first message; raise to refuse the start. (Pykka's ``on_start``.)."""

    async def tear_down(self, reason: ExitReason) -> None:
        """Runs on the loop at the end, normal or not, while the loop turns. (Pykka's ``on_stop``, ``on_failure``.)."""

    def spawn(
        self, work: "Coroutine[Any, Any, Any]", confinement: Confinement | None = None
    ) -> "asyncio.Task[BaseException | None]":
        """Run foreign code as a task of this actor, on its loop. The task ends with the exception that came out of
        ``work``, or None: also ``SystemExit`` and the like never reach the loop. With a ``confinement`` it may cancel
        only tasks that it began. Called on the loop.
        """
        shepherd, coroutines = self._shepherd(work), self.loop_thread.coroutines

        def end(_: object) -> None:
            del coroutines[shepherd]
            work.close()  # a task cancelled before its first step has not begun it

        coroutines[shepherd] = self
        task = start(self.loop_thread.loop, shepherd, f"{self.path} work", confinement)
        task.add_done_callback(end)
        return task

    async def _shepherd(self, work: "Coroutine[Any, Any, Any]") -> BaseException | None:
        try:
            await work
        except BaseException as error:  # noqa: BLE001 - that is what it is for
            return error
        return None

    # ------------------------------------------------------------------------------------------------ the loop

    async def _run(self) -> None:
        current.set(self)
        try:
            await self.set_up()
            if not self.defers_ready:
                self.announce_ready()
            reason = await self._serve() or SHUTDOWN
        except BaseException as error:  # noqa: BLE001 - SystemExit of a handler ends this actor, not the loop
            reason = self._reason_for(error)
            self._answer_error(error, reason)
        try:
            reason = await self._last_hook(reason)
        finally:
            self._in_hand = None
            assert self._task is not None
            self.loop_thread.coroutines.pop(self._task.get_coro(), None)
            self._detach()  # before the news of the end: whoever hears it finds the loop ending, if it was the last
            self._finish(reason)

    async def _serve(self, *, suspended: bool = False) -> ExitReason | None:
        """Serve the mailbox until the end; while ``suspended`` only its signals, and also only until it is resumed."""
        inbox = self.actor_inbox
        get = inbox.get_signal if suspended else inbox.poll
        turn = _TURN
        while self.suspended is suspended and (
            self._stop_reason is None or (not suspended and self._drains_on() and not inbox.empty())
        ):
            envelope = get()
            if envelope is None:
                self._idle = self.loop_thread.loop.create_future()
                await self._idle
                turn = _TURN
                continue
            self._in_hand = envelope
            if self._fenced:  # as in ``_take``
                self._reject(envelope)
            else:
                reply = self._dispatch(envelope.message)
                if reply is not None and hasattr(type(reply), "__await__"):
                    reply = await reply
                if envelope.reply_to is not None and reply is not NO_REPLY:
                    offer(envelope.reply_to, reply)
                self._in_hand = None
            turn -= 1
            if turn == 0:
                await asyncio.sleep(0)
                turn = _TURN
        return self._stop_reason

    async def suspend(self) -> Any:
        """Serve nothing but signals, until ``Resume`` or the end. Returns when that came."""
        if self.suspended:
            return True
        self.suspended = True
        self._answer_at_once()
        await self._serve(suspended=True)
        self.suspended = False
        return NO_REPLY

    async def _last_hook(self, reason: ExitReason) -> ExitReason:
        if type(self).tear_down is not AsyncActor.tear_down:
            self._limit_last_hook(reason)
        try:
            await self.tear_down(reason)
        except BaseException as error:  # noqa: BLE001 - a stop hook that fails must not leave a ghost
            if not reason.abnormal:
                return self._reason_for(error, "tear_down failed")
        return reason

    def _detach(self) -> None:
        with self._life:
            attached, self._attached = self._attached, False
        if attached:
            self.loop_thread.detach(self)

    def waits_for(self) -> "tuple[ReplyFuture, ...]":
        blocked_on = self.loop_thread.blocked_on
        return super().waits_for() if blocked_on is None else (*super().waits_for(), blocked_on)

    def wait_cell(self) -> WaitCell | None:
        return self.loop_thread if runs_on(self.loop_thread.loop) else None

    def awaits(self) -> bool:
        return asyncio.current_task() is self._task

    def stands_still_with(self, other: Actor) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, AsyncActor)
            and other.loop_thread is self.loop_thread
            and self.loop_thread.blocked_on is not None
        )

    # ------------------------------------------------------------------------------------------------ the rungs

    def request_cancel(self, reason: ExitReason) -> bool:
        """Cancel the coroutine in hand. Without effect on a loop that is blocked: then ``inject`` comes."""
        task = self._task
        if task is None or task.done():
            return False
        self._kill_reason = reason
        try:
            self.loop_thread.cancel(task)
        except RuntimeError:
            return False
        return True

    def inject(self, reason: ExitReason) -> bool:
        """Raise ``Killed`` in the loop's thread if a handler or hook of this very actor runs there now; its neighbours,
        and the loop itself, stay unharmed. If it awaits, it is cancelled once more: a handler may have swallowed the
        first cancellation.
        """
        for _ in range(INJECTION_TRIES):
            frames, runner = self.loop_thread.look()
            if runner is not self:
                break
            if self._may_be_hit(frames):
                self._kill_reason = reason
                if self.loop_thread.interrupt(frames[0]):
                    return True
            time.sleep(INJECTION_PAUSE)
        return self.request_cancel(reason)

    def _may_be_hit(self, frames: "Sequence[FrameType]") -> bool:
        return in_foreign_code(frames, _LOOP_CODES)

    def stack(self) -> str:
        frames, runner = self.loop_thread.look()
        if runner is self:
            return format_frames(frames)
        return coroutine_stack(self._task.get_coro()) if self._task is not None else ""

    def abandon(self, reason: ExitReason) -> None:
        super().abandon(reason)
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the task with it
                self.loop_thread.cancel(self._task)
        self._detach()  # a zombie holds up no loop: what is left of it ends with the loop, should that ever turn again


_LOOP_CODES = frozenset(
    function.__code__ for function in (AsyncActor._run, AsyncActor._serve, AsyncActor._last_hook, AsyncActor._shepherd)
)
