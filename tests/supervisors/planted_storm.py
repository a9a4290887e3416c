"""A program: for each bug that is named a short storm of kills with it planted in the library, in a forked process.

Writes a list of ``[exit code, output]`` as JSON: 1 and the error of the check that finds the bug, or 0.
"""

import asyncio
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import pykka

from supervisors import Actor, Down, Ref, Supervisor
from tests.supervisors.forks import forked, leave
from tests.supervisors.kill_storm import run

KILLS = 250
SEED = 20_777
DEADLINE = 4.0
"""Seconds that a check waits, for what never comes if its bug is there."""
PATIENCE = 60.0
"""The same without a bug, on a machine that has much else to do."""


def no_bug() -> None:
    """For comparison."""


def lose_asks() -> None:
    """A mailbox that closes forgets who waits for an answer."""
    reject = Actor._reject
    Actor._reject = lambda self, envelope: envelope.reply_to or reject(self, envelope)


def lose_the_ask_in_hand() -> None:
    """Who asked the message that ended the actor is not told."""
    Actor._answer_error = lambda *_: None


def answer_wrongly() -> None:
    """Some actors give the answers to other questions."""
    dispatch = Actor._dispatch

    def mix_up(self: Any, message: Any) -> Any:
        return "wrong" if message == "question" and self.incarnation % 5 == 0 else dispatch(self, message)

    Actor._dispatch = mix_up


def lose_tells() -> None:
    """What is told to those who are down is not counted."""
    tell = Ref.tell
    Ref.tell = lambda self, message: self.actor and tell(self, message)


def leave_ghosts() -> None:
    """The dead stay in the registry of Pykka."""
    pykka.ActorRegistry.unregister = lambda _ref: None


def leak_files() -> None:
    """Event loops are not closed."""
    asyncio.unix_events._UnixSelectorEventLoop.close = kept.append


def leak_threads() -> None:
    """Event loops do not end with their last actor."""
    from supervisors import LoopThread

    LoopThread.detach = lambda *_: None


def keep_names() -> None:
    """Every supervisor that ended is kept."""
    finish = Supervisor._finish
    Supervisor._finish = lambda self, reason: (kept.append(self.ref), finish(self, reason))


def miss_an_end() -> None:
    """Supervisors do not hear of the end of some of their children."""
    news = Supervisor._child_news

    def deaf(self: Any, child: str, attempt: int, signal: Any) -> None:
        if not (isinstance(signal, Down) and signal.incarnation % 40 == 0):
            news(self, child, attempt, signal)

    Supervisor._child_news = deaf


BUGS = {
    lose_asks: "every ask is answered",
    lose_the_ask_in_hand: "every ask is answered",
    answer_wrongly: "was answered with 'wrong'",
    lose_tells: "tells were neither handled nor counted",
    leave_ghosts: "no ghost is in the registry",
    leak_files: "file descriptors are left open",
    leak_threads: "threads end",
    keep_names: "names without actors are left",
    miss_an_end: "looks like",
}
"""Bug -> what the check that is meant for it says."""

kept: list[Any] = []


def storm(bug: Callable[[], None]) -> int:
    """The exit code of a short storm with this bug."""
    bug()
    try:
        run(KILLS, SEED, PATIENCE if bug is no_bug else DEADLINE)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}"[:2000])
        leave(1)  # there may be nobody left who could stop the tree
    return 0


if __name__ == "__main__":
    known = {bug.__name__: bug for bug in (no_bug, *BUGS)}
    print(json.dumps(forked(functools.partial(storm, known[name]) for name in sys.argv[1:])))
