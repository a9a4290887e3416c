"""What can be switched on to look at a living actor: how busy it is, and a trace of its messages.

Instruments stand in for the actor's dispatch while they are on; an actor without them does not know of them.
"""

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs

from supervisors.events import Traced, TraceEnded
from supervisors.redacted_text import redacted_text
from supervisors.signals import SystemRequest
from supervisors.timer import Timer

if TYPE_CHECKING:
    from supervisors.actor import Actor


@attrs.define
class _Trace:
    """One trace under way."""

    left: int
    text: int
    ends: Callable[[str], None]
    timer: Timer | None = None
    seen: int = 0


class Instruments:
    """The instruments of one actor. All methods run in its own thread, unless stated."""

    def __init__(self, actor: "Actor", clock: Callable[[], float] = time.perf_counter) -> None:
        self._actor = actor
        self._clock = clock
        self._trace: _Trace | None = None
        self.busy: float | None = None
        """Seconds spent in handlers since the measure was switched on; None while it is off."""

    def measure(self, *, on: bool) -> None:
        """Switch the measure of busy time on, from 0, or off."""
        self.busy = 0.0 if on else None
        self._arrange()

    def begin_trace(self, count: int, seconds: float, text: int) -> None:
        """Announce each message as ``Traced``, ``count`` of them at most and for ``seconds`` at most."""
        self.end_trace("replaced")
        trace = _Trace(count, text, self.end_trace)
        trace.timer = self._actor.runtime.timer.after(seconds, lambda: self._actor.signal(_TraceOver(trace)))
        self._trace = trace
        self._arrange()

    def end_trace(self, why: str) -> None:
        """End a trace that is under way."""
        trace, self._trace = self._trace, None
        if trace is None:
            return
        if trace.timer is not None:
            trace.timer.cancel()
        self._arrange()
        actor = self._actor
        actor.runtime.emit(TraceEnded(actor.path, actor.incarnation, trace.seen, why))

    def is_under_way(self, trace: object) -> bool:
        """True if this very trace is."""
        return self._trace is trace

    def _arrange(self) -> None:
        if self._trace is not None or self.busy is not None:
            self._actor.__dict__["_dispatch"] = self._dispatch
        else:
            self._actor.__dict__.pop("_dispatch", None)

    def _dispatch(self, message: Any) -> Any:
        actor = self._actor
        plain = type(actor)._dispatch
        if isinstance(message, SystemRequest):
            return plain(actor, message)
        envelope = actor._in_hand
        asked = envelope is not None and envelope.reply_to is not None
        text = self._text(message)
        began = self._clock()
        try:
            reply = plain(actor, message)
        except BaseException as error:
            self._done(message, text, began, asked, type(error).__name__)
            raise
        if inspect.isawaitable(reply):
            return self._awaited(reply, message, text, began, asked)
        self._done(message, text, began, asked, "")
        return reply

    async def _awaited(self, reply: Awaitable[Any], message: Any, text: str, began: float, asked: bool) -> Any:
        try:
            value = await reply
        except BaseException as error:
            self._done(message, text, began, asked, type(error).__name__)
            raise
        self._done(message, text, began, asked, "")
        return value

    def _text(self, message: Any) -> str:
        """Taken before the handler may change the message."""
        trace = self._trace
        return redacted_text(self._actor, "message", message, trace.text) if trace is not None else ""

    def _done(self, message: Any, text: str, began: float, asked: bool, error: str) -> None:
        seconds = self._clock() - began
        if self.busy is not None:
            self.busy += seconds
        trace = self._trace
        if trace is None or not text:
            return
        trace.left -= 1
        trace.seen += 1
        actor = self._actor
        actor.runtime.emit(Traced(actor.path, actor.incarnation, type(message).__name__, text, asked, seconds, error))
        if trace.left == 0:
            trace.ends("count")


@attrs.frozen(eq=False)
class _TraceOver(SystemRequest):
    """The time of a trace is up."""

    trace: _Trace

    def serve(self, actor: "Actor") -> None:
        instruments = actor.instruments
        if instruments.is_under_way(self.trace):
            instruments.end_trace("seconds")
