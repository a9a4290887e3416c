"""An actor with a thread of its own: for blocking work and for everything that is not a coroutine."""

import threading
from typing import Any

from pykka._envelope import Envelope

from supervisors.actor import NO_REPLY, Actor, current, offer
from supervisors.exits import SHUTDOWN, ExitKind, ExitReason
from supervisors.mailbox import Mailbox
from supervisors.threads import raise_in_thread, thread_stack


class ThreadActor(Actor):
    """Serves its mailbox in a daemon thread. Hooks and handlers are plain functions and may block.

    A handler that raises ends the actor, also if the message was an ask; the asker gets the exception (OTP: a crash
    in a call ends the server as well).
    """

    actor_inbox: Mailbox

    def __init__(self) -> None:
        super().__init__()
        self._thread: threading.Thread | None = None
        self._past_loop = False

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    def _start_actor_loop(self) -> None:
        thread = threading.Thread(target=self._run, name=self.path, daemon=True)
        self._thread = thread
        thread.start()

    # ------------------------------------------------------------------------------------------------ the loop

    def _run(self) -> None:
        current.set(self)
        reason = SHUTDOWN
        try:
            try:
                self.on_start()
                if not self.defers_ready:
                    self.announce_ready()
                reason = self._serve()
            finally:
                with self._life:
                    self._past_loop = True  # no asynchronous exception from here on
        except BaseException as error:  # noqa: BLE001 - Killed, SystemExit and KeyboardInterrupt end this actor only
            reason = self._reason_for(error)
            self._answer_error(error)
        reason = self._last_hook(reason)
        self._in_hand = None
        self._finish(reason)

    def _serve(self) -> ExitReason:
        inbox = self.actor_inbox
        while self._stop_reason is None:
            self._handle(inbox.get())
        while self.drains and (left := inbox.poll()) is not None:
            self._handle(left)
        return self._stop_reason

    def _handle(self, envelope: Envelope[Any]) -> None:
        self._in_hand = envelope
        reply = self._dispatch(envelope.message)
        if envelope.reply_to is not None and reply is not NO_REPLY:
            offer(envelope.reply_to, reply)
        self._in_hand = None

    def _last_hook(self, reason: ExitReason) -> ExitReason:
        try:
            if reason.abnormal:
                error = RuntimeError(str(reason))
                self.on_failure(type(error), error, None)
            elif self.ready or self.defers_ready:
                self.on_stop()
        except BaseException as error:  # noqa: BLE001 - a stop hook that fails must not leave a ghost
            if not reason.abnormal:
                return ExitReason.of(ExitKind.ERROR, error, "on_stop failed")
        return reason

    # ------------------------------------------------------------------------------------------------ the rungs

    def inject(self, reason: ExitReason) -> bool:
        """Raise ``Killed`` in the thread. It arrives when the thread runs Python code again: not inside a blocking C
        call. Injected under the lock that the dying thread takes, because thread ids are reused at once.
        """
        with self._life:
            thread = self._thread
            if thread is None or self._past_loop or not thread.is_alive() or thread.ident is None:
                return False
            self._kill_reason = reason
            raise_in_thread(thread.ident)
        self.actor_inbox.nudge()
        return True

    def stack(self) -> str:
        thread = self._thread
        return thread_stack(thread.ident) if thread is not None else ""
