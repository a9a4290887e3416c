"""The decisions of a supervisor: ``step(state, event, now, rng) -> (state, commands)``, without thread, clock or I/O.

The rules are those of the OTP ``supervisor``; where a rule is easily got wrong, or deliberately another one, the
function that holds it says so. The differences in short:

- starting and stopping never block: other events are handled in between, and one_for_one children restart side by side;
- giving up is an exit reason of its own (``gave_up`` with the failure as its cause), not a ``shutdown``;
- restarts can be delayed: the group is stopped at once, only its start waits;
- a supervisor can pause instead of ending when the restart limit is reached.
"""

import random
from collections.abc import Callable
from typing import Any

import attrs

from supervisors.core.draft import PLAN_TIMER, Draft, child_timer
from supervisors.core.requests import delete_child, reset_restarts, restart_child, start_child, terminate_child
from supervisors.core.restarts import fail
from supervisors.core.state import Child, Phase, Status, SupervisorState
from supervisors.core.transitions import (
    ChildDeclined,
    ChildDown,
    ChildReady,
    ChildRefused,
    Command,
    CoreEvent,
    DeleteChild,
    Init,
    ResetRestarts,
    RestartChild,
    SetTimer,
    StartChild,
    StopRequested,
    SupervisorError,
    TerminateChild,
    TimerFired,
)
from supervisors.events import Ended, StartRefused
from supervisors.exits import ExitKind, ExitReason
from supervisors.spec import AutoShutdown


def step(
    state: SupervisorState, event: CoreEvent, now: float, rng: random.Random
) -> tuple[SupervisorState, tuple[Command, ...]]:
    """The next state, and the commands to carry out in their order.

    ``now`` is monotonic seconds and never decreases from step to step; ``rng`` is used for the jitter of delays only.
    Nothing raises but ``TypeError`` for something that is no event; requests are answered with errors in ``Reply``.
    """
    handler = _HANDLERS.get(type(event))
    if handler is None:
        raise TypeError(f"the supervisor core takes the events of supervisors.core.transitions, got {event!r}")
    draft = Draft(state, now, rng)
    handler(draft, event)
    draft.advance()
    if draft.fallen and draft.phase is Phase.RUNNING:
        _recover_fallen(draft)
        draft.advance()
    return draft.freeze(), tuple(draft.commands)


# -------------------------------------------------------------------------------------------- the supervisor itself


def _on_init(draft: Draft, _event: Init) -> None:
    """Start the children in order, each when the one before is ready."""
    if draft.phase is Phase.NEW:
        draft.phase = Phase.INIT
        children = [draft.put(attrs.evolve(child, status=Status.QUEUED)) for child in draft.ordered()]
        draft.open_plan(children, "")


def _on_stop(draft: Draft, event: StopRequested) -> None:
    """A stop request wins over whatever is under way: init, a restart, a delay."""
    draft.end(event.reason)


def _on_timer(draft: Draft, event: TimerFired) -> None:
    """Start what was delayed. A timer that was cancelled too late or fires early changes nothing."""
    if event.timer == PLAN_TIMER:
        if draft.plan is not None and draft.plan.timer_set:
            draft.plan = attrs.evolve(draft.plan, timer_set=False)  # advance() starts, or sets it again if it was early
        return
    child = draft.get(event.timer.removeprefix(child_timer("")))
    if child is None or child.status is not Status.DELAYED or child.due is None:
        return
    if draft.now < child.due:
        draft.commands.append(SetTimer(event.timer, child.due))
    else:
        draft.start(child)


# ----------------------------------------------------------------------------------------------- news of children


def _on_ready(draft: Draft, event: ChildReady) -> None:
    child = _current(draft, event)
    if child is None or child.status is not Status.STARTING:
        return
    draft.put(child.up(draft.spec.restarts.started(child.history, draft.now)))
    if child.starter is not None:
        draft.reply(child.starter.request, child.id)


def _on_declined(draft: Draft, event: ChildDeclined) -> None:
    """OTP ``ignore``: not an error and not tried again. Temporary and pool children are forgotten."""
    child = _current(draft, event)
    if child is None:
        return
    if child.status is Status.STARTING and child.starter is not None:
        draft.reply(child.starter.request)
        child = attrs.evolve(child, starter=None)
    draft.settle(child)


def _on_refused(draft: Draft, event: ChildRefused) -> None:
    child = _current(draft, event)
    if child is None:
        return
    if child.status is Status.STARTING:
        _refused(draft, child, event.reason)
    else:
        draft.leak(child, event.reason)
        draft.settle(child)


def _refused(draft: Draft, child: Child, reason: ExitReason) -> None:
    """A start failed that nobody had called off.

    A start by request is answered and not tried again; in init it rolls everything back, whatever the restart type; a
    restart is tried again, also for a transient child and whatever the reason.
    """
    draft.report(StartRefused(draft.child_path(child), reason))
    if child.starter is not None:
        error = SupervisorError("refused", f"child {child.id!r} of {draft.path} refused to start: {reason}", reason)
        draft.reply(child.starter.request, error=error)
        if isinstance(child.starter, StartChild):
            draft.drop(child)
        else:
            draft.settle(attrs.evolve(child, starter=None))
    elif draft.phase is Phase.INIT:
        draft.settle(child)
        detail = f"child {child.id!r} refused to start"
        draft.end(ExitReason(ExitKind.START_FAILED, detail, cause=reason), init_failed=True)
    else:
        fail(draft, child, reason)


def _on_down(draft: Draft, event: ChildDown) -> None:
    """An attempt ended. One that was told to stop, or whose group is being stopped, is no failure of its own."""
    child = _current(draft, event)
    if child is None:
        return
    if child.status is Status.STARTING:
        _refused(draft, child, event.reason)
        return
    draft.report(Ended(draft.child_path(child), event.reason, expected=child.status is Status.STOPPING))
    if child.status is not Status.UP:
        draft.leak(child, event.reason)
        draft.settle(child)
    elif draft.phase is Phase.INIT:
        draft.put(attrs.evolve(child, status=Status.FALLEN, failed=event.reason))
        draft.fallen = (*draft.fallen, child.id)
    else:
        _ended(draft, child, event.reason)


def _recover_fallen(draft: Draft) -> None:
    """Children that died after their own start but before init was over: ordinary restarts now."""
    for name in draft.fallen:
        child = draft.get(name)
        if child is not None and child.status is Status.FALLEN and child.failed is not None:
            _ended(draft, child, child.failed)
    draft.fallen = ()


def _ended(draft: Draft, child: Child, reason: ExitReason) -> None:
    """A child ended by itself: restart it, or let it rest and see whether that ends the supervisor."""
    if child.spec.restart.wants_restart(reason.abnormal):
        fail(draft, child, reason)
        return
    draft.settle(child)
    if child.spec.significant and _shuts_down(draft):
        # The parent finds what the child left behind, such as a verdict, in the value of the reason.
        detail = f"significant child {child.id!r} ended"
        draft.end(ExitReason(ExitKind.SHUTDOWN, detail, value=reason))


def _shuts_down(draft: Draft) -> bool:
    """OTP ``auto_shutdown``, asked when a significant child ended by itself.

    For ``ALL_SIGNIFICANT`` only those still active hold it: one that was terminated by hand does not.
    """
    match draft.spec.auto_shutdown:
        case AutoShutdown.ANY_SIGNIFICANT:
            return True
        case AutoShutdown.ALL_SIGNIFICANT:
            return all(
                child.status in (Status.UNDEFINED, Status.CONDEMNED, Status.STOPPING) and not child.comes_back
                for child in draft.ordered()
                if child.spec.significant
            )
        case AutoShutdown.NEVER:
            return False


def _current(draft: Draft, event: ChildReady | ChildDeclined | ChildRefused | ChildDown) -> Child | None:
    """The child that the event speaks of, or None if that attempt is over: late news change nothing."""
    child = draft.get(event.child)
    if child is None or child.attempt != event.attempt or not child.status.alive:
        return None
    return child


_HANDLERS: dict[type, Callable[[Draft, Any], None]] = {
    Init: _on_init,
    ChildReady: _on_ready,
    ChildDeclined: _on_declined,
    ChildRefused: _on_refused,
    ChildDown: _on_down,
    TimerFired: _on_timer,
    StopRequested: _on_stop,
    StartChild: start_child,
    TerminateChild: terminate_child,
    RestartChild: restart_child,
    DeleteChild: delete_child,
    ResetRestarts: reset_restarts,
}
