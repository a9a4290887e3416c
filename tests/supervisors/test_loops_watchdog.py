"""The watchdog frees an event loop that does not turn."""

import asyncio
import threading
import types
from unittest.mock import Mock

import pytest

from supervisors import ExitKind, LoopThread, LoopWatchdog, Runtime
from supervisors.events import Abandoned, LadderRung, ZombieEnded
from supervisors.loop_watchdog import BLOCKED_LOOP
from supervisors.testing import DEADLINE, AsyncProbe, Do, await_true, down_of
from tests.supervisors.conftest import make_loop


def pair_on_a_watched_loop(stage, runtime, limit, grace):
    loop = make_loop()
    culprit, neighbour = AsyncProbe(loop), AsyncProbe(loop)
    stage.enter(culprit, "culprit"), stage.enter(neighbour, "neighbour")
    LoopWatchdog(runtime, loop, limit, grace).begin()
    return loop, culprit, neighbour


def spin(_):
    while True:
        sum(range(100))


def test_a_handler_that_spins_is_interrupted(stage, runtime, log):
    """It alone dies, and its reason names the line that blocked the loop."""
    _loop, culprit, neighbour = pair_on_a_watched_loop(stage, runtime, 0.1, DEADLINE)
    culprit.ref.tell(Do(spin))
    reason = down_of(culprit).get(timeout=DEADLINE).reason
    assert (reason.kind, reason.error_type) == (ExitKind.KILLED, BLOCKED_LOOP)
    assert "in spin" in reason.error_text
    assert "in spin" in reason.traceback
    assert log.of(LadderRung)[0].path == "rt/culprit"
    assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"


def test_foreign_code_that_an_actor_runs_as_a_task_is_blamed_on_that_actor(stage, runtime):
    """A spawned task that spins is interrupted as well; here the actor dies of its result."""

    async def spinning_work():
        spin(None)

    async def run(actor):
        raised = await actor.spawn(spinning_work())
        raise raised

    _loop, culprit, neighbour = pair_on_a_watched_loop(stage, runtime, 0.1, DEADLINE)
    culprit.ref.tell(Do(run))
    reason = down_of(culprit).get(timeout=DEADLINE).reason
    assert (reason.kind, reason.error_type) == (ExitKind.KILLED, BLOCKED_LOOP)
    assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"


def test_a_loop_that_is_blocked_in_c_code_is_abandoned_with_all_its_actors(stage, runtime, log):
    """The one that blocks it and its neighbours have different reasons; all end once the loop turns again."""
    gate = threading.Event()
    loop, culprit, neighbour = pair_on_a_watched_loop(stage, runtime, 0.1, 0.1)
    culprit.ref.tell(Do(lambda _: gate.wait()))
    reason = down_of(culprit).get(timeout=DEADLINE).reason
    assert (reason.kind, reason.error_type) == (ExitKind.ABANDONED, BLOCKED_LOOP)
    other = down_of(neighbour).get(timeout=DEADLINE).reason
    assert (other.kind, other.error_type) == (ExitKind.ABANDONED, "")
    assert "another actor" in other.detail
    assert "gate.wait()" in log.await_event(Abandoned, "rt/neighbour").stack
    assert len(runtime.zombies()) == 2
    successor = AsyncProbe(make_loop())
    assert stage.enter(successor, "culprit").ask("alive", timeout=DEADLINE) == "alive"
    gate.set()
    log.await_event(ZombieEnded, count=2)
    assert loop.join(DEADLINE)


def test_an_abandoned_loop_releases_what_its_actors_hold(stage, runtime):
    """Their release hooks run, as at every abnormal end."""
    gate, released = threading.Event(), []
    loop = make_loop()
    actor = AsyncProbe(loop, release=lambda actor: released.append(actor.path))
    stage.enter(actor)
    LoopWatchdog(runtime, loop, 0.1, 0.1).begin()
    actor.ref.tell(Do(lambda _: gate.wait()))
    down_of(actor).get(timeout=DEADLINE)
    assert released == ["rt/a"]
    gate.set()


def test_a_busy_loop_that_turns_is_left_alone(stage, runtime, log):
    """Coroutines that take long but await now and then are no fault."""
    _loop, culprit, _neighbour = pair_on_a_watched_loop(stage, runtime, 5.0, 5.0)

    async def busy(_):
        for _ in range(200):
            sum(range(1000))
            await asyncio.sleep(0)

    culprit.ref.ask(Do(busy), timeout=DEADLINE)
    assert log.of(LadderRung) == []


class Clock:
    """A runtime and a loop that exist for a watchdog only, under a clock that the test sets."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.due = []
        self.turns = []
        self.asleep = False
        self.interrupted = []
        monkeypatch.setattr("supervisors.loop_watchdog.time", types.SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(LoopWatchdog, "_interrupt", lambda _self, _loop, blocked: self.interrupted.append(blocked))
        timer = types.SimpleNamespace(after=lambda wait, look: self.due.append((self.now + wait, look)))
        runtime = Mock(spec=Runtime, timer=timer)
        turning = types.SimpleNamespace(is_closed=lambda: False, call_soon_threadsafe=self.turns.append)
        self.loop = Mock(spec=LoopThread, is_alive=lambda: not self.asleep, loop=turning)
        LoopWatchdog(runtime, self.loop, limit=10.0, grace=5.0).begin()

    def tick(self, seconds, *, turning):
        """Let ``seconds`` pass, then what is due happen, with the loop turning or not."""
        self.now += seconds
        due, self.due = self.due, []
        for _, look in due:
            look()
        while turning and self.turns:
            self.turns.pop(0)()


def test_a_process_that_stood_still_does_not_blame_its_loop(monkeypatch):
    """After SIGSTOP and SIGCONT, or on a starved machine, the watchdog itself comes late: that is no blocked loop."""
    clock = Clock(monkeypatch)
    clock.tick(1, turning=True)
    clock.tick(3600, turning=False)
    assert clock.interrupted == []
    for _ in range(11):
        clock.tick(1, turning=False)
    assert clock.interrupted == [11]


def test_the_watch_ends_with_the_loop(monkeypatch):
    """No timer is set any more once the thread of the loop has ended."""
    clock = Clock(monkeypatch)
    assert len(clock.due) == 1
    clock.asleep = True
    clock.tick(1, turning=True)
    assert clock.due == []


@pytest.mark.parametrize("kind", ["cancel", "crash"])
def test_an_actor_may_end_while_its_loop_is_watched(stage, runtime, kind):
    """The watch outlives single actors and ends with the last."""
    loop, culprit, neighbour = pair_on_a_watched_loop(stage, runtime, 5.0, 5.0)
    if kind == "crash":
        culprit.ref.tell(Do(lambda _: 1 / 0))
    else:
        culprit.request_stop()
    down_of(culprit).get(timeout=DEADLINE)
    assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"
    neighbour.request_stop()
    await_true(lambda: not loop.is_alive(), "the loop ends")
