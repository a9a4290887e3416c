"""The dynamic API of supervisors: ask one for its children, and have it start, stop, restart or forget one.

Each function sends a request and returns its future, which is always answered: ``get()`` it, or await it on an event
loop. Errors are ``SupervisorError`` with OTP's word as ``code``, or ``pykka.ActorDeadError``, at once, if nobody is
there. What is no ``ChildSpec`` and no id raises ``ValueError`` in the caller, and so does a reference to an actor that
is no supervisor: such an actor never sees the request. Any thread.
"""

import attrs

from policies import validation
from supervisors.core.transitions import (
    DeleteChild,
    ResetRestarts,
    RestartChild,
    StartChild,
    TerminateChild,
)
from supervisors.current import current_actor
from supervisors.future import ReplyFuture
from supervisors.ref import Ref, require_ref
from supervisors.spec import ChildSpec


@attrs.frozen
class WhichChildren:
    """Ask a supervisor for its children: answers a tuple of ``ChildInfo`` in start order."""


@attrs.frozen
class CountChildren:
    """Ask a supervisor how many children it has."""


@attrs.frozen
class GetChildSpec:
    """Ask a supervisor for the specification of a child."""

    child: str = attrs.field(validator=validation.instance_of(str))


def start_child(supervisor: Ref, spec: ChildSpec) -> ReplyFuture:
    """Add a child at the end and start it. Answers its id once it is ready, None if its start function declined.

    Errors: ``already_started``, ``already_present`` (its spec is there, the child is down), ``max_children``,
    ``refused`` (the start failed, ``reason`` says why, and the child is not kept), ``deadlock``; ``ValueError`` for a
    spec that does not fit the supervisor.
    """
    return _checked(supervisor).request(StartChild(0, spec, _asker(supervisor)))


def terminate_child(supervisor: Ref, child: str | Ref) -> ReplyFuture:
    """Stop a child; its specification stays, unless it is temporary or of a pool. Answered when it is down; at once for
    the child that asks for its own end. Also ends its restart loop.

    The children of a pool may be named by their reference. Errors: ``not_found``, ``deadlock``.
    """
    if isinstance(child, Ref):
        below = f"{_checked(supervisor).path}/"
        is_below = child.path.startswith(below) and child.runtime is supervisor.runtime
        name = child.path.removeprefix(below) if is_below else f"/{child.path}"  # nobody's id
        return supervisor.request(TerminateChild(0, name, _asker(supervisor), by_ref=True))
    return _checked(supervisor).request(TerminateChild(0, child, _asker(supervisor)))


def restart_child(supervisor: Ref, child: str) -> ReplyFuture:
    """Start a terminated child again; counts as no restart. Answers its id once it is ready, None if it declined.

    Errors: ``not_found``, ``running``, ``restarting``, ``refused``, ``deadlock``, ``simple_one_for_one`` (a pool's).
    """
    return _checked(supervisor).request(RestartChild(0, child, _asker(supervisor)))


def delete_child(supervisor: Ref, child: str) -> ReplyFuture:
    """Forget a child that does not run. Errors: ``not_found``, ``running``, ``restarting``, ``simple_one_for_one``."""
    return _checked(supervisor).request(DeleteChild(0, child))


def reset_restarts(supervisor: Ref, child: str | None = None) -> ReplyFuture:
    """Forget the failures of a child, so that its next restart is not delayed as one of a streak; without a child those
    of all children, and the restarts the supervisor has counted. Error: ``not_found``.
    """
    return _checked(supervisor).request(ResetRestarts(0, child))


def which_children(supervisor: Ref) -> ReplyFuture:
    """Ask for the children, a tuple of ``ChildInfo`` in start order."""
    return _checked(supervisor).request(WhichChildren())


def count_children(supervisor: Ref) -> ReplyFuture:
    """Ask for the numbers of children, a dict: ``specs``, ``active`` (alive), ``supervisors``, ``workers``."""
    return _checked(supervisor).request(CountChildren())


def get_child_spec(supervisor: Ref, child: str) -> ReplyFuture:
    """Ask for the ``ChildSpec`` of a child, with its defaults filled in. Error: ``not_found``."""
    return _checked(supervisor).request(GetChildSpec(child))


def _checked(supervisor: Ref) -> Ref:
    require_ref("supervisor", supervisor)
    actor = supervisor.actor
    if actor is not None and not actor.supervises:
        raise ValueError(f"{supervisor.path} is a {type(actor).__name__}, no supervisor: it has no children to ask for")
    return supervisor


def _asker(supervisor: Ref) -> str | None:
    """The child of the supervisor that the calling code belongs to, or lives below."""
    actor = current_actor()
    below = f"{supervisor.path}/"
    if actor is None or not actor.path.startswith(below):
        return None
    return actor.path.removeprefix(below).partition("/")[0]
