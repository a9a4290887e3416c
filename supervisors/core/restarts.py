"""What a supervisor does about a failed child: restart it with those that its strategy adds, give up, or pause."""

import attrs

from policies.restart import RestartAction, RestartState, RestartType, Strategy
from policies.restart_window import RestartWindow
from supervisors.core.draft import Draft, child_timer
from supervisors.core.state import Child, Status
from supervisors.core.transitions import SetTimer
from supervisors.events import GaveUp, Restarting
from supervisors.exits import ExitKind, ExitReason
from supervisors.spec import GiveUp


def fail(draft: Draft, child: Child, reason: ExitReason) -> None:
    """A child has to be restarted: count it, and restart it with those that the strategy adds, or give up.

    The restart is counted when the failure is handled, once for the whole group. A refused start counts as well, unless
    it had been delayed (its due time still stands): it grows the streak and the delay, but uses up no intensity.
    """
    history, draft.window, decision = draft.spec.restarts.decide_among(
        draft.window, child.history, draft.now, draft.rng, count=child.due is None
    )
    if decision.action is RestartAction.GIVE_UP:
        _give_up(draft, attrs.evolve(child, history=history), decision.reason, reason)
        return
    child = child.failing(reason, draft.now + decision.delay if decision.delay > 0 else None, history)
    alone = draft.spec.strategy is Strategy.ONE_FOR_ONE
    group = (child.id,) if alone else draft.spec.strategy.affected([row.id for row in draft.ordered()], child.id)
    draft.report(Restarting(draft.child_path(child), decision.delay, group, reason))
    if alone:
        _restart_alone(draft, child)
    else:
        _restart_group(draft, child, group)


def _restart_alone(draft: Draft, child: Child) -> None:
    if child.due is None:
        draft.start(child)
    else:
        draft.put(attrs.evolve(child, status=Status.DELAYED))
        draft.commands.append(SetTimer(child_timer(child.id), child.due))


def _restart_group(draft: Draft, failed: Child, group: tuple[str, ...]) -> None:
    """Stop what the strategy affects, then start it again with the failed child, in order and after its delay.

    Every child of the group comes back but the temporary ones: also those that were terminated by hand, and transient
    ones that had ended normally.
    """
    draft.put(failed)
    others = [draft.get(name) for name in group if name != failed.id]
    members = [_called_back(draft, child, failed.due) for child in others if child is not None]
    draft.open_plan(members, f"restarts with {failed.id!r}", failed.due)


def _called_back(draft: Draft, child: Child, due: float | None) -> Child:
    if due is not None:
        child = attrs.evolve(child, due=due)  # its start is a delayed one, too: a refusal uses up no intensity
    if child.status.alive:
        return draft.condemn(child, comes_back=True)
    if child.spec.restart is RestartType.TEMPORARY:
        if child.status is Status.FALLEN:
            draft.drop(child)
        return child
    return draft.put(attrs.evolve(child, status=Status.QUEUED))


def _give_up(draft: Draft, child: Child, rule: str, reason: ExitReason) -> None:
    """The restart limit is reached: end, or pause.

    Deviates from OTP, where giving up looks like a normal ``shutdown`` and a transient supervisor silently stays down.
    """
    restarts = draft.spec.restarts.intensity.counted(draft.window, draft.now)
    draft.report(GaveUp(draft.path, child.id, rule, reason, restarts))
    if draft.spec.on_give_up is GiveUp.PAUSE:
        _pause(draft, attrs.evolve(child, status=Status.QUEUED, failed=reason))
        return
    draft.settle(child)
    detail = f"child {child.id!r} reached the restart limit ({rule})"
    draft.end(ExitReason(ExitKind.GAVE_UP, detail, cause=reason))


def _pause(draft: Draft, failed: Child) -> None:
    """Stop all children for a while, then start those that were to run, with a cleared window and no streaks."""
    draft.window = RestartWindow()
    draft.put(failed)
    members = []
    for child in draft.ordered():
        fresh = attrs.evolve(child, history=RestartState(), due=None)
        if child.status is Status.STOPPING and not child.comes_back:
            continue
        if child.status.alive:
            members.append(draft.condemn(fresh, comes_back=True))
        elif child.status is not Status.UNDEFINED:
            draft.cancel_restart(child)
            draft.put(attrs.evolve(fresh, status=Status.QUEUED))
    draft.open_plan(members, f"{draft.path} pauses", draft.now + draft.spec.pause)
