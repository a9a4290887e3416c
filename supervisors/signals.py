"""System messages between actors and their supervisors. They ride the priority lane of every mailbox."""

import attrs

from supervisors.exits import SHUTDOWN, ExitReason


@attrs.frozen
class Signal:
    """Base of everything that overtakes user messages."""


@attrs.frozen
class Stop(Signal):
    """End after the message in hand, without serving the rest of the mailbox."""

    reason: ExitReason = SHUTDOWN


@attrs.frozen
class Kill(Signal):
    """End after the message in hand, as killed: for an actor that no exception can be raised in just now."""

    reason: ExitReason


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
