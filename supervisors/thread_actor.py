"""An actor with a thread of its own: for blocking work and for everything that is not a coroutine."""

import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, ClassVar

from pykka._envelope import Envelope

from supervisors.actor import NO_REPLY, Actor, WaitCell
from supervisors.current import current
from supervisors.definitions import check_plain
from supervisors.exits import ExitReason, Killed
from supervisors.foreign_code import INJECTION_PAUSE, INJECTION_TRIES, in_foreign_code
from supervisors.idle_threads import IdleThreads, Stint
from supervisors.incarnation import offer
from supervisors.mailboxes.bounded import BoundedMailbox
from supervisors.mailboxes.mailbox import Mailbox
from supervisors.mailboxes.policy import MailboxPolicy
from supervisors.signals import Kill
from supervisors.threads import format_frames, raise_in_frame, take_exception, thread_frames


class ThreadActor(Actor):
    """Serves its mailbox in a daemon thread. Hooks and handlers are plain functions and may block.

    A handler that raises ends the actor, also if the message was an ask; the asker gets the exception (OTP: a crash
    in a call ends the server as well).
    """

    shares_thread: ClassVar[bool] = True
    """False if it must have a thread in which no other actor has run and none will: for C libraries and system calls
    that keep something per thread. What Python keeps is looked after, see ``supervisors.idle_threads``.
    """

    actor_inbox: Mailbox

    def __init_subclass__(cls, **options: Any) -> None:
        """``ValueError`` for a subclass with hooks that are coroutine functions."""
        super().__init_subclass__(**options)
        check_plain(cls, ("on_start", "on_receive", "on_signal", "on_stop", "on_failure", "release"))

    def __init__(self) -> None:
        super().__init__()
        self._thread: Stint | None = None
        self._past_loop = False
        self._injected = False

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    def _mailbox_with(self, policy: MailboxPolicy, clock: Callable[[], float]) -> BoundedMailbox:
        return BoundedMailbox(policy, clock)

    def _start_actor_loop(self) -> None:
        self._thread = Stint(self._run, self.path)
        alone = self._runtime is None or not self.shares_thread
        home = IdleThreads(self.path, most=0) if alone else self.runtime.idle_threads
        try:
            home.begin(self._thread)
        except RuntimeError:
            self._thread = None
            raise

    # ------------------------------------------------------------------------------------------------ the loop

    def _run(self) -> bool:
        """The whole life. True if nothing of it is left in the thread, which may carry another actor then."""
        current.set(self)
        try:
            try:
                reason = self._last_hook(self._live())
            finally:
                self._past_loop = True  # before any call: no Killed can arrive between this and the line before
                self._seal()
        except BaseException as error:  # noqa: BLE001 - a Killed that came between two guarded places
            self._past_loop = True
            self._seal()
            reason = self._reason_for(error)
        self._in_hand = None
        self._finish(reason)
        return self._kill_reason is None and not self._fenced

    def _live(self) -> ExitReason:
        try:
            self.on_start()
            if not self.defers_ready:
                self.announce_ready()
            return self._serve()
        except BaseException as error:  # noqa: BLE001 - Killed, SystemExit and KeyboardInterrupt end this actor only
            reason = self._reason_for(error)
            self._answer_error(error, reason)
            return reason

    def _serve(self) -> ExitReason:
        inbox = self.actor_inbox
        while self._stop_reason is None:
            self._handle(inbox.get())
        while self._drains_on() and (left := inbox.poll()) is not None:
            self._handle(left)
        return self._stop_reason

    def _handle(self, envelope: Envelope[Any]) -> None:
        if not self._take(envelope):
            return
        reply = self._dispatch(envelope.message)
        if envelope.reply_to is not None and reply is not NO_REPLY:
            offer(envelope.reply_to, reply)
        self._in_hand = None

    def suspend(self) -> Any:
        """Serve nothing but signals, until ``Resume`` or the end. Returns when that came."""
        if not self.suspended:
            self.suspended = True
            self._answer_at_once()
            inbox = self.actor_inbox
            while self.suspended and self._stop_reason is None:
                self._handle(inbox.get_signal())
            self.suspended = False
            return NO_REPLY
        return True

    def _last_hook(self, reason: ExitReason) -> ExitReason:
        try:
            if reason.abnormal:
                self._seal()  # the actor is dead already: its last hook is not cut short by another Killed
                if type(self).on_failure is not Actor.on_failure:
                    self._limit_last_hook(reason)
                    error = RuntimeError(str(reason))
                    self.on_failure(type(error), error, None)
            elif (self.ready or self.defers_ready) and type(self).on_stop is not Actor.on_stop:
                self._limit_last_hook(reason)
                self.on_stop()
        except BaseException as error:  # noqa: BLE001 - a stop hook that fails must not leave a ghost
            if not reason.abnormal:
                return self._reason_for(error, "on_stop failed")
        return reason

    def _seal(self) -> None:
        """No ``Killed`` from here on: what follows must not be cut in two. One that is on its way is received here."""
        self._past_loop = True  # nobody injects any more; one injection may be under way
        try:
            with self._life:
                if self._injected:
                    self._injected = False
                    take_exception()
        except Killed:  # that was it
            return

    def wait_cell(self) -> WaitCell | None:
        thread = self._thread
        return self if thread is not None and thread.ident == threading.get_ident() else None

    # ------------------------------------------------------------------------------------------------ the rungs

    def inject(self, reason: ExitReason) -> bool:
        """Raise ``Killed`` in the thread if a handler or hook runs there. It arrives when the thread runs Python code
        again: not inside a blocking C call. One that is between two messages ends before the next. Injected under the
        lock that the dying thread takes, because thread ids are reused at once.
        """
        thread = self._thread
        if self._past_loop or thread is None or not thread.is_alive():
            return False
        self.actor_inbox.put(Envelope(Kill(reason)))
        for _ in range(INJECTION_TRIES):
            with self._life:
                frames = thread_frames(thread)
                if not thread.is_alive() or self._past_loop:
                    return True  # by the signal
                self._kill_reason = reason
                if self._may_be_hit(frames) and raise_in_frame(thread.ident or 0, frames[0]):
                    self._injected = True
                    return True
            time.sleep(INJECTION_PAUSE)
        return True

    def _may_be_hit(self, frames: Sequence[FrameType]) -> bool:
        return in_foreign_code(frames, _LOOP_CODES)

    def stack(self) -> str:
        return format_frames(thread_frames(self._thread))


_LOOP_CODES = frozenset(
    function.__code__
    for function in (
        ThreadActor._run,
        ThreadActor._live,
        ThreadActor._serve,
        ThreadActor._handle,
        ThreadActor._last_hook,
    )
)
