"""The dynamic API of a supervisor: start, terminate, restart and delete a child by request.

Each request is answered exactly once, with OTP's words for what can be wrong. Those that need a child to come up or to
end are answered when it did; the supervisor goes on with other work meanwhile. A child that asks from its own start or
stop, or for its own end, is never left waiting for itself: OTP deadlocks there.
"""

import attrs

from policies.restart import RestartState
from policies.restart_window import RestartWindow
from supervisors.core.draft import Draft
from supervisors.core.state import Child, Phase, Status, not_found
from supervisors.core.transitions import (
    DeleteChild,
    ResetRestarts,
    RestartChild,
    StartChild,
    SupervisorError,
    TerminateChild,
)
from supervisors.spec import check_child_specs


def start_child(draft: Draft, event: StartChild) -> None:
    """Add a child at the end and start it; within a plan under way when its turn comes.

    Answers its id when it is up, None if the start was declined. ``already_started`` or ``already_present`` for a known
    id, ``max_children`` for a full pool (children that wait for a restart take a place), ``refused`` if the start
    failed (the child is not kept) or was called off, ``deadlock`` if it would have to wait for the asker's own start or
    stop, ``ValueError`` for a spec that does not fit the supervisor.
    """
    spec = event.spec
    known = draft.get(spec.id)
    if known is not None:
        alive = known.status.alive
        _refuse(
            draft,
            event.request,
            "already_started" if alive else "already_present",
            f"{draft.path} already has a child {spec.id!r}"
            + ("" if alive else ", which is down: restart_child starts it, delete_child forgets it"),
        )
        return
    if _is_ending(draft, event.request) or _waits_for_asker(draft, event):
        return
    try:
        check_child_specs((spec,), draft.spec.auto_shutdown)
    except ValueError as error:
        draft.reply(event.request, error=error)
        return
    limit = draft.spec.max_children
    if limit is not None and draft.size >= limit:
        _refuse(draft, event.request, "max_children", f"{draft.path} has its {limit} children, the most it may have")
        return
    draft.enqueue(draft.add(event))


def terminate_child(draft: Draft, event: TerminateChild) -> None:
    """Stop a child and keep its spec, but for temporary and pool children. Answers when it is down.

    Also ends its restart loop: a delayed restart is cancelled. For a child that is down already, simply the answer.
    Whoever asks for its own end is answered at once. ``not_found``, also for a reference unless it is of a pool;
    ``deadlock`` if the child stops only after the asker has.
    """
    child = _known(draft, event)
    if child is None or (child.status is Status.CONDEMNED and _waits_for_asker(draft, event)):
        return
    if event.asker == child.id:
        draft.reply(event.request)
        child = attrs.evolve(child, comes_back=False)
    else:
        child = attrs.evolve(child, comes_back=False, stoppers=(*child.stoppers, event.request))
    match child.status:
        case Status.STARTING | Status.UP:
            draft.stop(child, "terminated by request")
        case Status.CONDEMNED | Status.STOPPING:
            draft.put(child)
        case _:
            draft.settle(child)


def restart_child(draft: Draft, event: RestartChild) -> None:
    """Start a child that is down, with a new streak and backoff. Counts as no restart.

    Answers its id when it is up, None if the start was declined. ``not_found``; ``simple_one_for_one`` in a pool;
    ``running`` also while it still stops; ``restarting`` if it is to start anyway; ``refused`` if the start failed or
    was called off; ``deadlock`` as for ``start_child``.
    """
    child = None if _is_pool(draft, event.request) else _known(draft, event)
    if child is None or _is_busy(draft, event.request, child):
        return
    if not _is_ending(draft, event.request) and not _waits_for_asker(draft, event):
        draft.enqueue(attrs.evolve(child, starter=event, history=RestartState()))


def delete_child(draft: Draft, event: DeleteChild) -> None:
    """Forget a child that is down. ``not_found``, ``simple_one_for_one``, ``running`` or ``restarting`` otherwise."""
    child = None if _is_pool(draft, event.request) else _known(draft, event)
    if child is None or _is_busy(draft, event.request, child):
        return
    draft.drop(child)
    draft.reply(event.request)


def reset_restarts(draft: Draft, event: ResetRestarts) -> None:
    """Forget the failures of a child: its streak, and with it its backoff. ``not_found`` for an unknown id.

    Without a child: those of all children, and the supervisor's counted restarts. What is due already stays due.
    """
    if event.child is None:
        draft.window = RestartWindow()
        for child in draft.ordered():
            draft.put(attrs.evolve(child, history=_without_failures(child)))
    else:
        known = _known(draft, event)
        if known is None:
            return
        draft.put(attrs.evolve(known, history=_without_failures(known)))
    draft.reply(event.request)


def _without_failures(child: Child) -> RestartState:
    return RestartState(started=child.history.started)


def _known(draft: Draft, event: TerminateChild | RestartChild | DeleteChild | ResetRestarts) -> Child | None:
    name = event.child or ""
    child = draft.get(name)
    if child is not None and isinstance(event, TerminateChild) and event.by_ref and not draft.spec.pool:
        child = None
    if child is None:
        draft.reply(event.request, error=not_found(draft.path, name))
    return child


def _waits_for_asker(draft: Draft, event: StartChild | TerminateChild | RestartChild) -> bool:
    """What is asked comes after the asker's own start or stop in the plan under way: refused, if it waits for it."""
    if event.asker is None or draft.plan is None:
        return False
    asker = draft.get(event.asker)
    if asker is None or asker.status not in (Status.STARTING, Status.CONDEMNED, Status.STOPPING):
        return False
    doing = "starts" if asker.status is Status.STARTING else "stops"
    _refuse(
        draft,
        event.request,
        "deadlock",
        f"{draft.path} does this only after child {asker.id!r}, which asks for it while it {doing}: ask later, or from "
        "elsewhere",
    )
    return True


def _is_pool(draft: Draft, request: int) -> bool:
    if draft.spec.pool:
        text = f"{draft.path} is a pool: its children are neither restarted nor deleted by request, but started anew"
        _refuse(draft, request, "simple_one_for_one", text)
    return draft.spec.pool


def _is_busy(draft: Draft, request: int, child: Child) -> bool:
    if child.status is Status.UNDEFINED:
        return False
    restarts = not child.status.alive or child.comes_back or child.failed is not None
    code = "restarting" if restarts else "running"
    _refuse(draft, request, code, f"child {child.id!r} of {draft.path} is {code}: terminate_child stops it")
    return True


def _is_ending(draft: Draft, request: int) -> bool:
    ending = draft.phase in (Phase.STOPPING, Phase.ENDED)
    if ending:
        _refuse(draft, request, "refused", f"supervisor {draft.path} ends: it starts nothing any more")
    return ending


def _refuse(draft: Draft, request: int, code: str, message: str) -> None:
    draft.reply(request, error=SupervisorError(code, message))
