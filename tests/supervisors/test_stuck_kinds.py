"""Seven kinds of being stuck, each ended by the rung that is meant for it; and rungs that are missing are missed."""

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from supervisors import (
    Actor,
    ChildSpec,
    ExitKind,
    Ladder,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
    restart_child,
    terminate_child,
)
from supervisors.events import Abandoned, Ended, LadderRung, ZombieEnded
from supervisors.ladder import LadderRun
from supervisors.signals import Stop
from supervisors.testing import DEADLINE, AsyncProbe, Do, EventLog, Probe, await_true
from tests.supervisors.conftest import make_loop

SOON = 0.03
"""Seconds for the rungs that are to fail."""


class Stuck:
    """Something to be stuck in: ``enter`` is run by the actor, ``release`` by its killer, ``free`` by the test."""

    make: Callable[..., Actor] = Probe

    def __init__(self) -> None:
        self.entered = threading.Event()

    def enter(self, actor: Any) -> Any:
        self.entered.set()

    def release(self, actor: Any) -> None:
        pass

    def free(self) -> None:
        pass


class Idle(Stuck):
    """Waits for messages."""


class Backlog(Stuck):
    """Has a thousand messages before it, a millisecond each."""

    handled = 0

    def enter(self, actor):
        for _ in range(1000):
            actor.ref.tell(Do(self.work))
        self.entered.set()

    def work(self, _):
        self.handled += 1
        time.sleep(0.001)


class Coroutine(Stuck):
    """Awaits what never comes."""

    def make(self, **hooks):
        return AsyncProbe(make_loop(), **hooks)

    def enter(self, _):
        self.entered.set()
        return asyncio.sleep(3600)


class Socket(Stuck):
    """Reads from a peer that says nothing."""

    def __init__(self):
        super().__init__()
        self.here, self.there = socket.socketpair()

    def enter(self, _):
        self.entered.set()
        self.here.recv(1)

    def release(self, _):
        self.here.shutdown(socket.SHUT_RDWR)

    def free(self):
        self.there.close()
        self.here.close()


class ChildProcess(Stuck):
    """Waits for a process that does not end."""

    def __init__(self):
        super().__init__()
        self.process = subprocess.Popen(["sleep", "600"])

    def enter(self, _):
        self.entered.set()
        self.process.wait()

    def release(self, _):
        self.process.kill()

    def free(self):
        self.process.kill()
        self.process.wait()


class Spinning(Stuck):
    """Runs in circles, over every ``Exception``."""

    over = False

    def enter(self, _):
        self.entered.set()
        while not self.over:
            try:
                sum(range(10))
            except Exception:
                continue

    def free(self):
        self.over = True


class SpinningOnALoop(Spinning):
    """The same in a coroutine: nothing else runs on its loop."""

    def make(self, **hooks):
        return AsyncProbe(make_loop(), **hooks)


class CCall(Stuck):
    """Sleeps in C, where no exception arrives."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.lock.acquire()

    def enter(self, _):
        self.entered.set()
        self.lock.acquire()

    def free(self):
        if self.lock.locked():
            self.lock.release()


class CCallOnALoop(CCall):
    """The same on an event loop."""

    def make(self, **hooks):
        return AsyncProbe(make_loop(), **hooks)


@attrs.frozen
class Row:
    """A kind, the rungs that are climbed after the polite request, and the end."""

    kind: type[Stuck]
    rungs: list[str]
    end: ExitKind
    ladder: Callable[[float], Ladder]
    """The ladder, given the seconds for the rung that is to succeed."""


TABLE = {
    "idle": Row(Idle, [], ExitKind.SHUTDOWN, lambda s: Ladder(s, SOON, SOON, SOON)),
    "backlog": Row(Backlog, [], ExitKind.SHUTDOWN, lambda s: Ladder(s, SOON, SOON, SOON)),
    "coroutine": Row(Coroutine, ["cancel"], ExitKind.KILLED, lambda s: Ladder(SOON, s, SOON, SOON)),
    "socket": Row(Socket, ["release"], ExitKind.SHUTDOWN, lambda s: Ladder(SOON, SOON, s, SOON)),
    "child process": Row(ChildProcess, ["release"], ExitKind.SHUTDOWN, lambda s: Ladder(SOON, SOON, s, SOON)),
    "spinning": Row(Spinning, ["release", "exception"], ExitKind.KILLED, lambda s: Ladder(SOON, SOON, SOON, 3 * s)),
    "spinning on a loop": Row(
        SpinningOnALoop, ["cancel", "release", "exception"], ExitKind.KILLED, lambda s: Ladder(SOON, SOON, SOON, 3 * s)
    ),
    "C call": Row(
        CCall, ["release", *["exception"] * 3], ExitKind.ABANDONED, lambda _: Ladder(SOON, SOON, SOON, 3 * SOON)
    ),
    "C call on a loop": Row(
        CCallOnALoop,
        ["cancel", "release", *["exception"] * 3],
        ExitKind.ABANDONED,
        lambda _: Ladder(SOON, SOON, SOON, 3 * SOON),
    ),
}


def climb(runtime, row: Row, patience: float = DEADLINE) -> None:
    """Get a child stuck, have its supervisor end it, and see how: ``AssertionError`` if by another rung."""
    log, stuck = EventLog(runtime), row.kind()
    first = [stuck]

    def make():
        return first.pop().make(release=stuck.release) if first else Probe()

    root = runtime.start(Supervisor(SupervisorSpec([ChildSpec("a", make, ladder=row.ladder(patience))])))
    try:
        actor = runtime.ref("rt/a").actor
        if row.kind is not Idle:
            actor.ref.tell(Do(stuck.enter))
            assert stuck.entered.wait(DEADLINE)
        terminate_child(root, "a").get(timeout=DEADLINE)
        ended = log.await_event(Ended, "rt/a")
        seen = [event for event in log.of(object, "rt/a") if isinstance(event, LadderRung | Abandoned | Ended)]
        told = [event.rung if isinstance(event, LadderRung) else event.kind for event in seen]
        assert told == [*row.rungs, *["abandoned"] * (row.end is ExitKind.ABANDONED), "ended"]
        assert ended.reason.kind is row.end
        assert restart_child(root, "a").get(timeout=DEADLINE) == "a", "its place is free"
        assert runtime.ref("rt/a").ask("new", timeout=DEADLINE) == "new"
        if isinstance(stuck, Backlog):
            assert stuck.handled < 1000, "the stop request overtakes the backlog"
        if row.end is ExitKind.ABANDONED:
            see_zombie(runtime, log, actor, stuck)
        assert runtime.zombies() == {}
    finally:
        stuck.free()
        runtime.stop(DEADLINE)


def see_zombie(runtime, log: EventLog, actor: Actor, stuck: Stuck) -> None:
    """It is in the list with the line where it sleeps, until it comes back."""
    name = f"rt/a#{actor.incarnation}"
    assert "self.lock.acquire()" in log.of(Abandoned, "rt/a")[0].stack
    assert list(runtime.zombies()) == [name]
    assert "self.lock.acquire()" in runtime.zombies()[name]
    assert log.of(ZombieEnded) == []
    stuck.free()
    assert log.await_event(ZombieEnded, "rt/a").incarnation == actor.incarnation
    await_true(lambda: not runtime.zombies(), "it is forgotten")


@pytest.mark.parametrize("name", TABLE)
def test_what_is_stuck_is_ended_by_the_rung_that_is_meant_for_it(runtime, name):
    """Under a supervisor: rungs in order, the end told last, the place free for a successor."""
    climb(runtime, TABLE[name])


# ------------------------------------------------------------------------------------------------- planted bugs


def leave_out_cancel(monkeypatch):
    """Coroutines are not cancelled."""
    monkeypatch.setattr(LadderRun, "_cancel", LadderRun._release)


def leave_out_release(monkeypatch):
    """Nobody frees what actors are blocked on."""
    monkeypatch.setattr(LadderRun, "_release", LadderRun._inject)


def forget_to_release(monkeypatch):
    """The rung is climbed, but the hook is not called."""
    monkeypatch.setattr(Actor, "release_aside", lambda *_: None)


def leave_out_exception(monkeypatch):
    """Nothing is raised in the thread."""
    monkeypatch.setattr(ThreadActor, "inject", lambda *_: True)


def abandon_in_silence(monkeypatch):
    """Nobody is told that an actor was given up."""
    monkeypatch.setattr(LadderRun, "_abandon", lambda self: self._actor.abandon(self._reason))


def abandon_without_a_list(monkeypatch):
    """Zombies are not listed."""
    monkeypatch.setattr("supervisors.runtime.Runtime.add_zombie", lambda *_: None)


def stop_in_turn(monkeypatch):
    """The stop request waits behind the backlog."""
    put = ThreadActor.request_stop

    def request(self, reason):
        if isinstance(self, Supervisor):
            return put(self, reason)
        return self.actor_ref.tell(Do(lambda actor: actor.signal(Stop(reason))))

    monkeypatch.setattr(ThreadActor, "request_stop", request)


PLANTED = [
    (leave_out_cancel, "coroutine"),
    (leave_out_release, "socket"),
    (forget_to_release, "child process"),
    (leave_out_exception, "spinning"),
    (abandon_in_silence, "C call"),
    (abandon_without_a_list, "C call"),
    (stop_in_turn, "backlog"),
]


@pytest.mark.parametrize(("bug", "row"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_rung_that_is_missing_is_missed(runtime, bug, row):
    """By the kind that it is meant for."""
    with pytest.MonkeyPatch.context() as planted:
        bug(planted)
        with pytest.raises(AssertionError):
            climb(runtime, TABLE[row], patience=1.0 if row != "backlog" else DEADLINE)
