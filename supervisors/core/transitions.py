"""The vocabulary of the supervisor core: events in, commands out.

``supervisors.core.step(state, event, now, rng) -> (state, commands)`` is pure. The supervisor actor turns what happens
into these events and carries out the commands, in their order; nothing else passes between the two.

An ``attempt`` numbers the starts within one supervisor. Every event about a child carries the attempt it speaks of, so
late news of a replaced incarnation is told from news of the present one.
"""

from typing import Any

import attrs

from policies import validation
from supervisors.events import Event
from supervisors.exits import ExitReason
from supervisors.spec import ChildSpec

# ---------------------------------------------------------------------------------------------------- events


@attrs.frozen
class Init:
    """The supervisor runs: start the children of its specification, in order."""


@attrs.frozen
class ChildReady:
    """The attempt's ``on_start`` returned."""

    child: str
    attempt: int


@attrs.frozen
class ChildDeclined:
    """The start function returned None (OTP ``ignore``)."""

    child: str
    attempt: int


@attrs.frozen
class ChildRefused:
    """The start failed: the start function or ``on_start`` raised, or the actor ended before it was ready.

    Nothing of the attempt is left running.
    """

    child: str
    attempt: int
    reason: ExitReason


@attrs.frozen
class ChildDown:
    """An incarnation that had been ready ended, or one that was being stopped ended. Exactly once per attempt."""

    child: str
    attempt: int
    reason: ExitReason


@attrs.frozen
class TimerFired:
    """A timer that ``SetTimer`` asked for."""

    timer: str


@attrs.frozen
class StopRequested:
    """End the supervisor: stop the children in reverse start order, then exit with ``reason``."""

    reason: ExitReason


@attrs.frozen
class StartChild:
    """Dynamic API: add a child. Answers its id; errors: already_started, already_present, max_children, refused."""

    request: int
    spec: ChildSpec = attrs.field(validator=validation.instance_of(ChildSpec))
    asker: str | None = None
    """The child that asks, or below which the asker lives; None for everybody else. It must not wait for itself."""


@attrs.frozen
class TerminateChild:
    """Dynamic API: stop a child and keep its spec (temporary and pool children are forgotten)."""

    request: int
    child: str = attrs.field(validator=validation.instance_of(str))
    asker: str | None = None
    by_ref: bool = False
    """The child was named by its reference: only pools know those (OTP simple_one_for_one)."""


@attrs.frozen
class RestartChild:
    """Dynamic API: start a terminated child again. Counts nothing."""

    request: int
    child: str = attrs.field(validator=validation.instance_of(str))
    asker: str | None = None


@attrs.frozen
class DeleteChild:
    """Dynamic API: forget a child that does not run."""

    request: int
    child: str = attrs.field(validator=validation.instance_of(str))


@attrs.frozen
class ResetRestarts:
    """Dynamic API: forget the failures of a child (its streak and backoff), or with None those of all children and the
    counted restarts of the supervisor. A restart that is due already stays due.
    """

    request: int
    child: str | None = attrs.field(default=None, validator=validation.instance_of(str, optional=True))


CoreEvent = (
    Init
    | ChildReady
    | ChildDeclined
    | ChildRefused
    | ChildDown
    | TimerFired
    | StopRequested
    | StartChild
    | TerminateChild
    | RestartChild
    | DeleteChild
    | ResetRestarts
)

# -------------------------------------------------------------------------------------------------- commands


@attrs.frozen
class StartActor:
    """Make and start the child. Answered by exactly one of ChildReady, ChildDeclined, ChildRefused, or, if StopActor
    was commanded before, possibly by ChildDown instead.
    """

    spec: ChildSpec
    attempt: int


@attrs.frozen
class StopActor:
    """Run the kill ladder on the child. Answered by ChildDown (or ChildRefused while it was starting)."""

    child: str
    attempt: int
    reason: ExitReason


@attrs.frozen
class SetTimer:
    """Feed ``TimerFired(timer)`` at ``at`` (monotonic seconds). Replaces a timer of the same name."""

    timer: str
    at: float


@attrs.frozen
class CancelTimer:
    """Forget the timer."""

    timer: str


@attrs.frozen
class Reply:
    """Answer a request of the dynamic API."""

    request: int
    value: Any = None
    error: Exception | None = None


@attrs.frozen
class Report:
    """Tell the subscribers."""

    event: Event


@attrs.frozen
class InitDone:
    """All first children are up: the supervisor itself is ready."""


@attrs.frozen
class InitFailed:
    """A first child refused; those started before are stopped. The supervisor ends with ``start_failed``."""

    reason: ExitReason


@attrs.frozen
class Exit:
    """No child is left: the supervisor ends."""

    reason: ExitReason


Command = StartActor | StopActor | SetTimer | CancelTimer | Reply | Report | InitDone | InitFailed | Exit


# ---------------------------------------------------------------------------------------------------- errors


class SupervisorError(Exception):
    """A request of the dynamic API was refused.

    ``code`` is OTP's word for it where OTP has one: already_started, already_present, running, restarting, not_found,
    simple_one_for_one (not for the children of a pool), max_children; refused (the start failed or was called off) and
    deadlock (the asker would wait for itself) are ours. ``reason`` is the exit reason of a start that failed.
    """

    def __init__(self, code: str, message: str, reason: ExitReason | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


@attrs.frozen
class ChildInfo:
    """One row of ``which_children``."""

    id: str
    status: str
    """``up``, ``starting``, ``stopping``, ``restarting`` (failed; waits for its delay or its turn) or ``undefined``.

    As in OTP, those that a group restart merely takes along are ``undefined`` until their turn comes."""
    kind: str
    """``worker`` or ``supervisor``."""
    restarts: int
    """Times it became ready again since the supervisor started."""
    due: float | None
    """When a delayed restart is due, monotonic seconds; also for the children that wait with it."""
