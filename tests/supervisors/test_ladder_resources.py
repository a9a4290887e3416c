"""What belonged to a dead actor: its processes are ended by whoever killed it, and its late work is fenced off."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from supervisors import AsyncActor, Down, ExitKind, ExitReason, ThreadActor
from supervisors.events import Abandoned, DeadLetter, ZombieEnded
from supervisors.spec import Ladder
from supervisors.testing import DEADLINE, AsyncProbe, Do, Probe, await_true, down_of
from tests.supervisors.conftest import make_loop

SHORT = Ladder(stop=0.01, cancel=0.01, release=0.01, exception=0.01)
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


class Owner:
    """Owns a child process from its start on, and crashes or hangs as told."""

    def __init__(self, *args, how=""):
        super().__init__(*args)
        self.how = how
        self.process = None

    def take(self):
        self.process = subprocess.Popen(SLEEPER, process_group=0)
        if self.how == "start":
            raise ValueError("after it has the process")

    def release(self):
        if self.process is not None:
            self.process.kill()

    def on_receive(self, message):
        if message == "crash":
            raise ZeroDivisionError
        if message == "wait":
            self.process.wait()  # as long as the process lives
        if message == "exit":
            raise SystemExit(3)
        return message


class ThreadOwner(Owner, ThreadActor):
    def on_start(self):
        self.take()


class AsyncOwner(Owner, AsyncActor):
    async def set_up(self):
        self.take()


def has_ended(pid):
    """True if the process is a zombie of the operating system, or gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


OWNERS = {"thread": ThreadOwner, "async": lambda **how: AsyncOwner(make_loop(), **how)}


@pytest.fixture
def own():
    """Makes owners; what they own is gone after the test, also if it fails."""
    actors = []

    def make_owner(kind, how):
        actors.append(OWNERS[kind](how=how))
        return actors[-1]

    yield make_owner
    for actor in actors:
        actor.release()
        if actor.process is not None:
            actor.process.wait(DEADLINE)


@pytest.mark.parametrize("kind", OWNERS)
@pytest.mark.parametrize("how", ["start", "crash", "exit", "wait", "killed"])
def test_the_process_of_a_dead_actor_has_ended_when_its_watchers_hear(stage, runtime, own, kind, how):
    """However it died, also inside its start hook: a successor never meets what its predecessor owned."""
    actor = own(kind, how)
    down = down_of(actor)
    heard = []

    def hear(signal):
        if isinstance(signal, Down):  # the kill was sent before this; the process may need a moment to die of it
            try:
                heard.append(await_true(lambda: has_ended(actor.process.pid), "its process has ended", timeout=5))
            except AssertionError:
                heard.append(False)

    actor.monitor(hear)
    stage.try_enter(actor)
    if how in ("crash", "exit", "wait"):
        actor.ref.tell(how)
    if how in ("wait", "killed"):
        if how == "wait":
            await_true(lambda: actor._in_hand, "it waits for its process")
        runtime.kill(actor, SHORT if how == "wait" else Ladder.brutal(), ExitReason(ExitKind.KILLED))
    reason = down.get(timeout=DEADLINE).reason
    assert reason.abnormal
    assert (reason.kind is ExitKind.START_FAILED) == (how == "start")
    await_true(lambda: heard, "the watcher heard")
    assert heard == [True]


# ------------------------------------------------------------------------------------------------- late work


@pytest.fixture
def target(stage):
    """Whom the abandoned ones talk to."""
    return stage.enter(AsyncProbe(make_loop()), "target")


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_release_that_blocks_is_neither_called_nor_waited_for_again(stage, runtime, log, kind):
    """The rung of the ladder has called it; the end of the abandoned actor does not, nor hold the timers up for it."""
    gate, busy, called = threading.Event(), threading.Event(), []

    def release(actor):
        called.append(actor)
        gate.wait(DEADLINE)

    actor = Probe(release=release) if kind == "thread" else AsyncProbe(make_loop(), release=release)
    stage.enter(actor).tell(Do(lambda _: busy.set() or gate.wait(DEADLINE)))
    assert busy.wait(DEADLINE)
    runtime.kill(actor, SHORT, ExitReason(ExitKind.SHUTDOWN))
    log.await_event(Abandoned, "rt/a")
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.ABANDONED
    assert called == [actor]
    gate.set()
    log.await_event(ZombieEnded, "rt/a")


def test_tasks_and_threads_of_an_abandoned_async_actor_are_fenced(stage, runtime, log, target):
    """Whatever it began before, or begins later: what they send is dropped and counted, by sender and by target."""
    loop, gate, done = make_loop(), threading.Event(), []
    actor = AsyncProbe(loop)
    neighbour = AsyncProbe(loop)  # keeps the loop turning
    stage.enter(neighbour, "neighbour")
    ref = stage.enter(actor, "zombie")

    async def speak(where):
        while not gate.is_set():
            await asyncio.sleep(0.005)
        target.tell(where)
        done.append(target.request(where))
        await asyncio.to_thread(target.tell, where)

    async def begin(_):
        loop.loop.create_task(speak("plain task"))
        actor.spawn(speak("spawned"))
        while not gate.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                continue
        await asyncio.create_task(speak("late task"))

    ref.tell(Do(begin))
    await_true(lambda: actor._in_hand, "it has begun")
    runtime.kill(actor, SHORT, ExitReason(ExitKind.KILLED))
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.ABANDONED
    gate.set()
    log.await_event(DeadLetter, "rt/target", count=9)
    log.await_event(ZombieEnded, "rt/zombie")
    assert runtime.late_messages == {"rt/zombie": 9}
    assert {(letter.why, letter.sender) for letter in log.of(DeadLetter)} == {("fenced", "rt/zombie")}
    assert target.actor.handled_count == 0
    assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"
    neighbour.ref.tell(Do(lambda _: target.tell("a neighbour's")))
    await_true(lambda: target.actor.handled_count == 1, "a neighbour on the same loop is not fenced")
