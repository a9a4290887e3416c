"""Waiting for what happens in a tree: signals, conditions, and the look of supervisors. Any thread."""

import time
from collections.abc import Callable
from typing import TypeVar

from supervisors.actor import Actor
from supervisors.children import which_children
from supervisors.future import ReplyFuture
from supervisors.ref import Ref
from supervisors.signals import Down, Ready, Signal
from supervisors.supervision import Supervision

DEADLINE = 30.0
"""Seconds after which a wait fails. Generous: it only matters when something is wrong."""

T = TypeVar("T")


def await_true(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """Look again and again until ``condition()`` is true; returns its value. For what announces itself to nobody.

    Raises ``AssertionError`` with ``what`` after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.002)
    return value


def ready_of(actor: Actor) -> ReplyFuture:
    """Answered with the ``Ready`` of an actor that is not started yet, or with its ``Down`` if that comes first."""
    return _first(actor, (Ready, Down))


def down_of(actor: Actor) -> ReplyFuture:
    """Answered with the ``Down`` of an actor; at once if it has ended."""
    return _first(actor, (Down,))


def _first(actor: Actor, kinds: tuple[type[Signal], ...]) -> ReplyFuture:
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
    seen = ""
    deadline = time.monotonic() + timeout
    while seen != look:
        assert time.monotonic() < deadline, f"{supervisor.path} looks like {seen!r}, not like {look!r}"
        seen = " ".join(f"{row.id}={row.status}" for row in which_children(supervisor).get(timeout=timeout))
        time.sleep(0.002)


def tree_look(supervisor: Ref) -> str:
    """A whole tree in one line: ``"a=up s=up(x=up y=restarting)"``, children in start order, ``"down"`` if there is no
    supervisor now. A snapshot: asks nobody, so it also answers for trees whose supervisors are stuck.
    """
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
    deadline = time.monotonic() + timeout
    while (seen := tree_look(supervisor)) != look:
        assert time.monotonic() < deadline, f"{supervisor.path} looks like {seen!r}, not like {look!r}"
        time.sleep(0.002)
