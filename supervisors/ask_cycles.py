"""Actors that wait for each other in a circle are told so at once, instead of waiting for their timeouts.

Before it blocks, an actor publishes for whose answer it waits; then it walks along the chain of those who wait. Of two
actors that ask each other at the same time at least one therefore sees the other. Whoever is outside of actors, or only
sends a request and goes on, waits for nobody in this sense.
"""

from typing import TYPE_CHECKING

import pykka

if TYPE_CHECKING:
    from supervisors.actor import Actor
    from supervisors.future import ReplyFuture


class AskCycleError(pykka.ActorDeadError):
    """Waiting for this answer would be waiting for oneself: ``rt/a -> rt/b -> rt/a``. The request was not sent, or its
    answer cannot come before its asker goes on. Ask without waiting, or turn one of the asks into a tell.
    """


def check_wait(asker: "Actor", future: "ReplyFuture") -> None:
    """Raise ``AskCycleError`` if the answer can only come from somebody who waits for ``asker``, who has published that
    it waits for ``future``.
    """
    target = future.target
    actor = target.actor if target is not None else None
    if actor is None or not (actor.stands_still_with(asker) or actor.waits_for()):
        return  # as nearly always
    path = _way_back(asker, future, [asker.path], set())
    if path is not None:
        raise AskCycleError(f"AskCycle: {' -> '.join(path)}: each of them waits for the answer of the next")


def _way_back(asker: "Actor", future: "ReplyFuture", path: list[str], seen: set[int]) -> list[str] | None:
    target = future.target
    actor = target.actor if target is not None else None
    if actor is None or future.done():
        return None
    path = [*path, actor.path]
    if actor.stands_still_with(asker):
        return path
    if actor.incarnation in seen:  # a circle of others, who find it themselves
        return None
    seen.add(actor.incarnation)
    for waited in actor.waits_for():
        way = _way_back(asker, waited, path, seen)
        if way is not None:
            return way
    return None
