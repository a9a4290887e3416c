"""System messages between actors and their supervisors. They ride the priority lane of every mailbox."""

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from policies import validation
from supervisors.exits import SHUTDOWN, ExitReason

if TYPE_CHECKING:
    from supervisors.actor import Actor


@attrs.frozen
class Signal:
    """Base of everything that overtakes user messages."""


@attrs.frozen
class Stop(Signal):
    """End after the message in hand, without serving the rest of the mailbox."""

    reason: ExitReason = attrs.field(default=SHUTDOWN, validator=validation.instance_of(ExitReason))


@attrs.frozen
class Kill(Signal):
    """End after the message in hand, as killed: for an actor that no exception can be raised in just now."""

    reason: ExitReason = attrs.field(validator=validation.instance_of(ExitReason))


@attrs.frozen
class Ready(Signal):
    """Told to the supervisor: the incarnation's ``on_start`` returned."""

    path: str
    incarnation: int


@attrs.frozen
class Down(Signal):
    """Told to every watcher, exactly once per incarnation: it has ended."""

    path: str
    incarnation: int
    reason: ExitReason
    was_ready: bool = True


@attrs.frozen
class Timeout(Signal):
    """A timer of this actor has run out."""

    token: str


@attrs.frozen
class LinkDown(Signal):
    """Told to an actor that traps exits: an incarnation that it was linked to has ended."""

    path: str
    incarnation: int
    """0 if nobody lived there when the link was made."""
    reason: ExitReason


@attrs.frozen
class SystemRequest(Signal):
    """A question or order that every actor understands (OTP ``sys``), whatever its handlers do."""

    can_wait: ClassVar[bool] = True
    """True if it may be put behind the messages that wait when many come at once."""

    def serve(self, actor: "Actor") -> Any:
        """Answer it, in the actor's thread; for an async actor possibly with an awaitable."""
        raise NotImplementedError
