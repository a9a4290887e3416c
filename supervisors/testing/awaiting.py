"""Waiting for what happens in a tree: signals, conditions, and the look of supervisors. Any thread."""

import time
from collections.abc import Callable
from typing import TypeVar

from policies import validation
from supervisors.actor import Actor
from supervisors.children import which_children
from supervisors.future import ReplyFuture
from supervisors.ref import Ref, require_ref
from supervisors.signals import Down, Ready, Signal
from supervisors.supervision import Supervision

DEADLINE = 30.0
"""Seconds after which a wait fails. Generous: it only matters when something is wrong."""

T = TypeVar("T")


def await_true(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """Look again and again until ``condition()`` is true; returns its value. For what announces itself to nobody.

    Raises ``AssertionError`` with ``what`` after ``timeout`` seconds.
    """
    validation.require_function("await_true: condition", condition)
    check_timeout("await_true", timeout)
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.002)
    return value


def check_timeout(what: str, timeout: object) -> None:
    """Raise ``ValueError`` unless ``timeout`` is a number of seconds of at least 0."""
    validation.require_duration(f"{what}: timeout", timeout, endless=True)


def ready_of(actor: Actor) -> ReplyFuture:
    """Answered with the ``Ready`` of an actor that is not started yet, or with its ``Down`` if that comes first."""
    return _first(actor, (Ready, Down))


def down_of(actor: Actor) -> ReplyFuture:
    """Answered with the ``Down`` of an actor; at once if it has ended."""
    return _first(actor, (Down,))


def _first(actor: Actor, kinds: tuple[type[Signal], ...]) -> ReplyFuture:
    if not isinstance(actor, Actor):
        raise validation.wrong("what is waited for", "an Actor, or the present one of a Ref: its .actor", actor)
    future = ReplyFuture()

    def hear(signal: Signal) -> None:
        if isinstance(signal, kinds):
            future.offer(signal)

    actor.monitor(hear)
    return future


def await_children(supervisor: Ref, look: str, timeout: float = DEADLINE) -> None:
    """Wait until the children look like this, in start order: ``"a=up b=restarting"``.

    Asks the supervisor, so what was sent to it before has been seen. Raises ``AssertionError`` with the last look after
    ``timeout`` seconds, ``pykka.ActorDeadError`` if the supervisor is down.
    """
    _check_look("await_children", supervisor, look, timeout)
    deadline = time.monotonic() + timeout
    while (seen := _children_look(supervisor, timeout)) != look:
        assert time.monotonic() < deadline, f"{supervisor.path} looks like {seen!r}, not like {look!r}"
        time.sleep(0.002)


def _children_look(supervisor: Ref, timeout: float) -> str:
    return " ".join(f"{row.id}={row.status}" for row in which_children(supervisor).get(timeout=timeout))


def tree_look(supervisor: Ref) -> str:
    """A whole tree in one line: ``"a=up s=up(x=up y=restarting)"``, children in start order, ``"down"`` if there is no
    supervisor now. A snapshot: asks nobody, so it also answers for trees whose supervisors are stuck.
    """
    require_ref("tree_look: supervisor", supervisor)
    actor = supervisor.actor
    if not isinstance(actor, Supervision) or actor.exit_reason is not None:
        return "down"
    rows = []
    for row in actor.children():
        below = actor.runtime.ref(f"{supervisor.path}/{row.id}")
        inner = f"({tree_look(below)})" if row.status == "up" and isinstance(below.actor, Supervision) else ""
        rows.append(f"{row.id}={row.status}{inner}")
    return " ".join(rows)


def await_tree(supervisor: Ref, look: str, timeout: float = DEADLINE) -> None:
    """Wait until the tree looks like this, see ``tree_look``.

    Raises ``AssertionError`` with the last look after ``timeout`` seconds.
    """
    _check_look("await_tree", supervisor, look, timeout)
    deadline = time.monotonic() + timeout
    while (seen := tree_look(supervisor)) != look:
        assert time.monotonic() < deadline, f"{supervisor.path} looks like {seen!r}, not like {look!r}"
        time.sleep(0.002)


def _check_look(what: str, supervisor: object, look: object, timeout: object) -> None:
    """What can never come is not waited for."""
    require_ref(f"{what}: supervisor", supervisor)
    validation.require_instance(f"{what}: look", look, str)
    check_timeout(what, timeout)
