"""System messages (OTP ``sys``): what can be asked of every actor, whatever it does.

They are signals: served between two messages, ahead of those that wait, and while the actor is suspended; an actor that
is stuck in a handler answers when it comes out of it. Each function sends one and returns its ``ReplyFuture``; without
an actor there it fails at once with ``NotHandledError``. ``glance`` asks nobody. What is wrongly given raises
``ValueError`` in the caller.
"""

import functools
from typing import Any

import attrs

from policies import validation
from supervisors.actor import Actor
from supervisors.async_actor import AsyncActor
from supervisors.future import ReplyFuture
from supervisors.loop_thread import LoopThread
from supervisors.redacted_text import redacted_text
from supervisors.ref import Ref, require_ref
from supervisors.signals import SystemRequest
from supervisors.thread_actor import ThreadActor

MAX_TEXT = 2000
"""Most characters of one value or message that are shown."""
MAX_TRACE = 10_000
"""Most messages of one trace."""
MAX_TRACE_SECONDS = 3600.0
"""Longest time of one trace."""
_MAX_ATTRIBUTES = 200


@attrs.frozen
class Statistics:
    """What an actor has done and what waits for it. Times in seconds."""

    path: str
    incarnation: int
    started_at: float | None
    """When it was launched, seconds since the epoch."""
    ready: bool
    suspended: bool
    handled: int
    """Messages taken up, signals not counted."""
    waiting: int
    """Messages and signals that wait, within a few."""
    oldest: float | None
    """How long the oldest message has waited. None without a ``MailboxPolicy``."""
    peak: int | None
    """The most messages that ever waited. None without a ``MailboxPolicy``."""
    stashed: int
    """Messages put aside."""
    dead_letters: int
    """Messages to its path that nobody handled, of all incarnations."""
    late: int
    """Messages that abandoned incarnations of its path still sent, and that were dropped."""
    busy: float | None
    """Time in handlers since ``measure`` was switched on; None while it is off."""

    def as_map(self) -> dict[str, Any]:
        """Flat dict of plain values."""
        return attrs.asdict(self)


def suspend(ref: Ref) -> ReplyFuture:
    """Have the actor serve signals only, from when it has finished its message in hand. Answers True when it does."""
    return _checked(ref).request(Suspend())


def resume(ref: Ref) -> ReplyFuture:
    """Have it serve messages again. Answers True."""
    return _checked(ref).request(Resume())


def get_state(ref: Ref, text: int = 200) -> ReplyFuture:
    """Ask for the attributes of the actor, a dict of name to text of at most ``text`` characters, made in the actor's
    own thread. Those of the kernel are left out; ``Actor.redact`` decides what is seen of the others.
    """
    return _checked(ref).request(GetState(text))


def statistics(ref: Ref) -> ReplyFuture:
    """Ask for ``Statistics``. That the answer comes shows that the actor serves its mailbox."""
    return _checked(ref).request(GetStatistics())


def glance(ref: Ref) -> Statistics | None:
    """The same without asking, so also of an actor that is stuck; None if nobody lives there. Any thread."""
    actor = _checked(ref).actor
    return _statistics(actor) if actor is not None else None


def measure(ref: Ref, *, on: bool = True) -> ReplyFuture:
    """Have the actor measure the time it spends in handlers, from 0, or no longer. Answers True."""
    return _checked(ref).request(Measure(on))


def trace_messages(ref: Ref, count: int = 100, seconds: float = 60.0, text: int = 200) -> ReplyFuture:
    """Have each message that the actor handles announced as event ``Traced``: ``count`` of them (10,000 at most), for
    ``seconds`` (3,600 at most), with ``text`` characters (2,000 at most) of the message. It ends by itself, announced
    as ``TraceEnded``; another trace takes its place. Ends with the incarnation. Answers True when it has begun.
    """
    return _checked(ref).request(Trace(count, seconds, text))


def stop_trace(ref: Ref) -> ReplyFuture:
    """End a trace. Answers True."""
    return _checked(ref).request(StopTrace())


@attrs.frozen
class Suspend(SystemRequest):
    """See ``suspend``."""

    can_wait = False

    def serve(self, actor: Actor) -> Any:
        return actor.suspend()


@attrs.frozen
class Resume(SystemRequest):
    """See ``resume``."""

    can_wait = False

    def serve(self, actor: Actor) -> bool:
        actor.suspended = False
        return True


@attrs.frozen
class GetState(SystemRequest):
    """See ``get_state``."""

    text: int = attrs.field(default=200, validator=validation.integer(10, MAX_TEXT))

    def serve(self, actor: Actor) -> dict[str, str]:
        own = [(name, value) for name, value in vars(actor).items() if name not in _kernel_attributes()]
        shown = {name: redacted_text(actor, name, value, self.text) for name, value in own[:_MAX_ATTRIBUTES]}
        if len(own) > _MAX_ATTRIBUTES:
            shown["…"] = f"{len(own) - _MAX_ATTRIBUTES} more"
        return shown


@attrs.frozen
class GetStatistics(SystemRequest):
    """See ``statistics``."""

    def serve(self, actor: Actor) -> Statistics:
        return _statistics(actor)


@attrs.frozen
class Measure(SystemRequest):
    """See ``measure``."""

    on: bool = attrs.field(validator=validation.instance_of(bool))

    def serve(self, actor: Actor) -> bool:
        actor.instruments.measure(on=self.on)
        return True


@attrs.frozen
class Trace(SystemRequest):
    """See ``trace_messages``."""

    count: int = attrs.field(validator=validation.integer(1, MAX_TRACE))
    seconds: float = attrs.field(validator=validation.number(0.001, MAX_TRACE_SECONDS))
    text: int = attrs.field(validator=validation.integer(10, MAX_TEXT))

    def serve(self, actor: Actor) -> bool:
        actor.instruments.begin_trace(self.count, self.seconds, self.text)
        return True


@attrs.frozen
class StopTrace(SystemRequest):
    """See ``stop_trace``."""

    can_wait = False

    def serve(self, actor: Actor) -> bool:
        actor.instruments.end_trace("stopped")
        return True


def _checked(ref: Ref) -> Ref:
    require_ref("ref", ref)
    return ref


@functools.cache
def _kernel_attributes() -> frozenset[str]:
    """What an actor has before its own constructor adds anything, or only if it needs it."""
    bare = (ThreadActor(), AsyncActor(LoopThread.__new__(LoopThread)))  # never started, nor is the loop
    names = {"_dispatch"}.union(*(vars(actor) for actor in bare))
    return frozenset(names.union(*(vars(kind) for actor in bare for kind in type(actor).__mro__)))


def _statistics(actor: Actor) -> Statistics:
    lane = actor.lane
    instruments = vars(actor).get("instruments")
    return Statistics(
        path=actor.path,
        incarnation=actor.incarnation,
        started_at=actor.started_at,
        ready=actor.ready,
        suspended=actor.suspended,
        handled=actor.handled_count,
        waiting=actor.mailbox.qsize(),
        oldest=lane.age() if lane is not None else None,
        peak=lane.peak if lane is not None else None,
        stashed=actor.stashed,
        dead_letters=actor.runtime.dead_letters[actor.path],
        late=actor.runtime.late_messages[actor.path],
        busy=instruments.busy if instruments is not None else None,
    )
