"""A request that waits for somebody to take it up, over as many incarnations as it takes."""

from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope

from supervisors.future import ReplyFuture
from supervisors.refusals import NotHandledError

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.ref import Ref


class Errand:
    """One such request. It is sent again only if it was not handled at all, so never handled twice; it ends when it is
    answered, or when it is not with anybody after ``seconds``.
    """

    def __init__(self, ref: "Ref", message: Any, reply: ReplyFuture, seconds: float, sender: "Actor | None") -> None:
        self._ref = ref
        self._message = message
        self._reply = reply
        self._seconds = seconds
        self._sender = sender
        self._with_actor = False
        self._late = False

    def begin(self) -> None:
        """Send it, now or when somebody comes. Any thread."""
        runtime = self._ref.runtime
        timer = runtime.timer.after(self._seconds, self._time_is_up)
        runtime.errands.add(self)

        def done(_: ReplyFuture) -> None:
            timer.cancel()
            runtime.errands.discard(self)

        self._reply.add_done_callback(done)
        if runtime.closed:  # there are no timers any more, nor anybody who might come
            self.give_up()
        else:
            self._ref.when_up(self._send)

    def _send(self, actor: "Actor") -> None:
        if self._reply.done():
            return
        attempt = ReplyFuture()
        self._with_actor = True
        attempt.add_done_callback(self._answered)
        if self._sender is not None and self._sender.fenced:
            self._ref.send(Envelope(self._message, attempt), self._sender)
        else:
            actor.actor_inbox.put(Envelope(self._message, attempt))

    def _answered(self, attempt: ReplyFuture) -> None:
        value, error = attempt.outcome()
        fenced = self._sender is not None and self._sender.fenced
        if not isinstance(error, NotHandledError) or fenced:
            self._reply.offer(value, error)
            return
        self._with_actor = False  # before the look at the time, which looks at this then
        if self._late:
            self.give_up()
        else:
            self._ref.when_up(self._send)

    def _time_is_up(self) -> None:
        self._late = True
        if not self._with_actor:
            self.give_up()

    def give_up(self) -> None:
        """Nobody will take it up any more."""
        self._reply.offer(error=NotHandledError(f"nobody at {self._ref.path} took it up within {self._seconds:g} s"))
