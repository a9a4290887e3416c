"""The dynamic API of a supervisor: start, terminate, restart and delete a child by request.

Each request is answered exactly once, with OTP's words for what can be wrong. Those that need a child to come up or to
end are answered when it did; the supervisor goes on with other work meanwhile.
"""

import attrs

from policies.restart import RestartState
from supervisors.core_draft import Draft
from supervisors.core_state import Child, Phase, Status, not_found
from supervisors.spec import check_child_specs
from supervisors.transitions import DeleteChild, RestartChild, StartChild, SupervisorError, TerminateChild


def start_child(draft: Draft, event: StartChild) -> None:
    """Add a child at the end and start it; within a plan under way when its turn comes.

    Answers its id when it is up, None if the start was declined. ``already_started`` or ``already_present`` for a known
    id, ``max_children`` for a full pool (children that wait for a restart take a place), ``refused`` if the start
    failed (the child is not kept) or was called off, ``ValueError`` for a spec that does not fit the supervisor.
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
    if _is_ending(draft, event.request):
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
    """
    child = _known(draft, event)
    if child is None:
        return
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

    Answers its id when it is up, None if the start was declined. ``not_found``; ``running`` also while it still stops;
    ``restarting`` if it is to start anyway; ``refused`` if the start failed or was called off.
    """
    child = _known(draft, event)
    if child is None or _is_busy(draft, event.request, child) or _is_ending(draft, event.request):
        return
    draft.enqueue(attrs.evolve(child, starter=event, history=RestartState()))


def delete_child(draft: Draft, event: DeleteChild) -> None:
    """Forget a child that is down. ``not_found``, ``running`` or ``restarting`` otherwise."""
    child = _known(draft, event)
    if child is None or _is_busy(draft, event.request, child):
        return
    draft.drop(child)
    draft.reply(event.request)


def _known(draft: Draft, event: TerminateChild | RestartChild | DeleteChild) -> Child | None:
    child = draft.get(event.child)
    if child is None:
        draft.reply(event.request, error=not_found(draft.path, event.child))
    return child


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
