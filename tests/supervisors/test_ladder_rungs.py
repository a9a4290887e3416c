"""The kill ladder: every stuck actor ends, by the rung that is meant for its kind of being stuck.

The rung that is to succeed gets all the time in the world, those before it none: so it does not matter how loaded the
machine is.
"""

import asyncio
import socket
import subprocess
import threading

import attrs
import pykka
import pytest

from supervisors import SHUTDOWN, ExitKind, ExitReason, Ladder
from supervisors.events import Abandoned, DeadLetter, LadderRung, ZombieEnded
from supervisors.testing import DEADLINE, AsyncProbe, Do, Probe, await_true, down_of
from tests.supervisors.conftest import make_loop

SOON = 0.05
WHY = ExitReason(ExitKind.SHUTDOWN, "no longer needed")


def stuck(stage, actor, function, name="a"):
    """Start an actor and get it stuck; returns the reply that it owes."""
    entered = threading.Event()

    def enter(actor):
        entered.set()
        return function(actor)

    owed = stage.enter(actor, name).request(Do(enter))
    assert entered.wait(DEADLINE)
    return owed


def kill(runtime, actor, **ladder):
    """Run a ladder with these rungs; returns the reason and the rungs that were climbed after the first."""
    rungs = []
    unsubscribe = runtime.subscribe(lambda event: rungs.append(event.rung), ["ladder_rung"])
    runtime.kill(actor, Ladder(**ladder), WHY)
    reason = down_of(actor).get(timeout=DEADLINE).reason
    unsubscribe()
    return reason, rungs


def test_an_idle_actor_stops_when_asked(stage, make, runtime, journal):
    """No further rung is climbed, and the reason is the one it was stopped for."""
    actor = make(journal)
    stage.enter(actor)
    assert kill(runtime, actor, stop=DEADLINE) == (WHY, [])
    assert journal.entries() == ["+a", "-a"]


def test_an_actor_with_a_backlog_stops_after_the_message_in_hand(stage, make, runtime):
    """The stop request overtakes a thousand messages."""
    gate, handled, actor = threading.Event(), [], make()
    stuck(stage, actor, lambda _: gate.wait(DEADLINE))
    for _ in range(1000):
        actor.ref.tell(Do(handled.append))
    runtime.kill(actor, Ladder(stop=DEADLINE), WHY)
    gate.set()
    assert down_of(actor).get(timeout=DEADLINE).reason == WHY
    assert handled == []
    assert runtime.dead_letters["rt/a"] == 1000


def test_a_coroutine_is_cancelled(stage, runtime, journal):
    """It ends at its await, with the reason of the kill, and tears down and releases what it has."""
    actor = AsyncProbe(make_loop(), journal)
    owed = stuck(stage, actor, lambda _: asyncio.sleep(3600))
    reason, rungs = kill(runtime, actor, stop=SOON, cancel=DEADLINE)
    assert (reason.kind, reason.detail, rungs) == (ExitKind.KILLED, WHY.detail, ["cancel"])
    with pytest.raises(pykka.ActorDeadError):
        owed.get(timeout=DEADLINE)
    assert journal.entries() == ["+a", "!a", "~a"]


@pytest.mark.parametrize("hook", ["start", "stop", "fail"])
def test_a_hook_that_awaits_for_ever_is_cancelled(stage, runtime, hook):
    """Also set_up and tear_down."""
    entered = threading.Event()

    async def hang(_):
        entered.set()
        await asyncio.sleep(3600)

    actor = AsyncProbe(make_loop(), **{hook: hang})
    runtime.launch(actor, "rt/a")
    if hook == "fail":
        actor.ref.tell(Do(lambda _: 1 / 0))
    if hook != "stop":
        assert entered.wait(DEADLINE)
    reason, rungs = kill(runtime, actor, stop=SOON, cancel=DEADLINE)
    assert rungs == ["cancel"]
    assert reason.kind is (ExitKind.ERROR if hook == "fail" else ExitKind.KILLED)


def test_a_thread_in_a_socket_is_freed_by_release(stage, runtime):
    """Shutting the socket down from outside ends the call; the actor then finds its stop request."""
    here, there = socket.socketpair()
    actor = Probe(release=lambda _: here.shutdown(socket.SHUT_RDWR))
    with here, there:
        stuck(stage, actor, lambda _: here.recv(1))
        assert kill(runtime, actor, stop=SOON, release=DEADLINE) == (WHY, ["release"])


def test_a_thread_that_waits_for_a_child_process_is_freed_by_release(stage, runtime):
    """The killer ends the process that the actor waits for."""
    with subprocess.Popen(["sleep", "600"]) as child:
        actor = Probe(release=lambda _: child.kill())
        stuck(stage, actor, lambda _: child.wait())
        assert kill(runtime, actor, stop=SOON, release=DEADLINE) == (WHY, ["release"])


def spin(_):
    while True:
        try:
            sum(range(100))
        except Exception:
            continue


def test_a_spinning_loop_gets_an_exception(stage, runtime):
    """Also one that goes on after every ``Exception``."""
    actor = Probe()
    stuck(stage, actor, spin)
    reason, rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=DEADLINE)
    assert (reason.kind, reason.detail, rungs) == (ExitKind.KILLED, WHY.detail, ["release", "exception"])


@pytest.mark.parametrize("hook", ["start", "stop"])
def test_a_spinning_hook_gets_an_exception(stage, runtime, hook):
    """The hooks are not out of reach; a stop hook that was cut short makes the end abnormal."""
    entered = threading.Event()

    def enter_and_spin(actor):
        entered.set()
        spin(actor)

    actor = Probe(**{hook: enter_and_spin})
    runtime.launch(actor, "rt/a")
    if hook == "start":
        assert entered.wait(DEADLINE)
    reason, rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=DEADLINE)
    assert (reason.kind, rungs) == (ExitKind.KILLED, ["release", "exception"])


def test_code_that_eats_the_first_exception_gets_another(stage, runtime):
    """A bare ``except:`` delays the end by a part of the rung."""

    def eat_one(actor):
        try:
            spin(actor)
        except BaseException:
            spin(actor)

    actor = Probe()
    stuck(stage, actor, eat_one)
    reason, rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=6.0)
    assert (reason.kind, rungs) == (ExitKind.KILLED, ["release", "exception", "exception"])


def test_a_coroutine_that_eats_its_cancellation_gets_another(stage, runtime):
    """The exception rung cancels a coroutine that awaits once more."""

    async def eat_one(_):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)

    actor = AsyncProbe(make_loop())
    stuck(stage, actor, eat_one)
    reason, rungs = kill(runtime, actor, stop=SOON, cancel=SOON, release=SOON, exception=DEADLINE)
    assert (reason.kind, rungs) == (ExitKind.KILLED, ["cancel", "release", "exception"])


def test_an_async_actor_that_spins_gets_an_exception_and_its_neighbours_stay_unharmed(stage, runtime):
    """Only the actor that is on the stack of the loop's thread is hit."""
    loop = make_loop()
    actor, neighbour = AsyncProbe(loop), AsyncProbe(loop)
    other = stage.enter(neighbour, "b")
    stuck(stage, actor, spin)
    reason, _rungs = kill(runtime, actor, stop=SOON, cancel=SOON, release=SOON, exception=DEADLINE)
    assert reason.kind is ExitKind.KILLED
    assert other.ask("alive", timeout=DEADLINE) == "alive"


def test_a_thread_stuck_in_c_code_is_abandoned(stage, runtime, log):
    """Nothing reaches it: it counts as dead, its asker is told, it is listed with its stack until its thread ends."""
    gate = threading.Event()
    actor = Probe(release=lambda actor: actor.journal.add("released"))
    owed = stuck(stage, actor, lambda _: gate.wait())
    try:
        reason, rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=3 * SOON)
        assert (reason.kind, reason.detail) == (ExitKind.ABANDONED, WHY.detail)
        assert rungs == ["release", "exception", "exception", "exception"]
        with pytest.raises(pykka.ActorDeadError):
            owed.get(timeout=DEADLINE)
        with pytest.raises(pykka.ActorDeadError):
            actor.ref.ask("x", timeout=DEADLINE)
        assert "gate.wait()" in log.await_event(Abandoned, "rt/a").stack
        assert list(runtime.zombies()) == [f"rt/a#{actor.incarnation}"]
        assert "gate.wait()" in runtime.zombies()[f"rt/a#{actor.incarnation}"]
        assert "released" in actor.journal.entries()
    finally:
        gate.set()
    log.await_event(ZombieEnded, "rt/a")
    assert runtime.zombies() == {}
    assert down_of(actor).get(timeout=0).reason == reason


def test_a_zombie_that_comes_back_to_its_mailbox_ends(stage, runtime, log):
    """One that eats every kill on the way does not wait for messages that never come."""
    gate = threading.Event()

    def eat_all(_):
        while not gate.is_set():
            try:
                gate.wait()
            except BaseException:
                continue

    actor = Probe()
    stuck(stage, actor, eat_all)
    reason, _rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=SOON)
    assert reason.kind is ExitKind.ABANDONED
    gate.set()
    log.await_event(ZombieEnded, "rt/a")
    await_true(lambda: not actor._thread.is_alive(), "its thread ends")


def test_a_coroutine_that_swallows_every_cancellation_is_abandoned(stage, runtime, log):
    """Its neighbours live on; what it awaits is in the list of zombies; once it does end it is forgotten."""
    over, loop = threading.Event(), make_loop()

    async def swallow(_):
        while not over.is_set():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    actor, neighbour = AsyncProbe(loop), AsyncProbe(loop)
    other = stage.enter(neighbour, "b")
    stuck(stage, actor, swallow)
    reason, rungs = kill(runtime, actor, stop=SOON, cancel=SOON, release=SOON, exception=SOON)
    assert reason.kind is ExitKind.ABANDONED
    assert rungs[:2] == ["cancel", "release"]
    assert other.ask("alive", timeout=DEADLINE) == "alive"
    assert "in swallow" in runtime.zombies()[f"rt/a#{actor.incarnation}"]
    over.set()
    loop.loop.call_soon_threadsafe(actor._task.cancel)
    log.await_event(ZombieEnded, "rt/a")
    assert runtime.zombies() == {}


def test_an_async_actor_that_was_abandoned_before_it_began_never_begins(stage, runtime, log, journal):
    """Its loop was blocked by another; when that turns again, nothing of the dead actor runs."""
    gate, loop = threading.Event(), make_loop()
    blocker, actor = AsyncProbe(loop), AsyncProbe(loop, journal)
    stuck(stage, blocker, lambda _: gate.wait(DEADLINE), "blocker")
    runtime.launch(actor, "rt/a")
    reason, _rungs = kill(runtime, actor, stop=SOON, cancel=SOON, release=SOON, exception=SOON)
    assert reason.kind is ExitKind.ABANDONED
    gate.set()
    log.await_event(ZombieEnded, "rt/a")
    assert "+a" not in journal.entries()


def test_a_brutal_kill_gives_the_stop_hook_no_time(stage, runtime, journal):
    """OTP ``brutal_kill``: the actor is killed without being asked."""
    actor = Probe(journal)
    stuck(stage, actor, spin)
    runtime.kill(actor, attrs.evolve(Ladder.brutal(), release=SOON), WHY)
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.KILLED
    assert "-a" not in journal.entries()


def test_rungs_of_no_time_are_left_out(stage, runtime, log):
    """With no rung at all an actor is abandoned on the spot."""
    gate = threading.Event()
    actor = Probe()
    stuck(stage, actor, lambda _: gate.wait(DEADLINE))
    reason, rungs = kill(runtime, actor, stop=0, cancel=0, release=0, exception=0)
    gate.set()
    assert (reason.kind, rungs) == (ExitKind.ABANDONED, [])
    log.await_event(ZombieEnded, "rt/a")


def test_a_release_hook_that_blocks_holds_up_neither_the_ladder_nor_other_timers(stage, runtime, log):
    """It has a thread of its own; even the abandonment that calls it again goes on."""
    gate, ticked = threading.Event(), threading.Event()
    actor = Probe(release=lambda _: gate.wait(DEADLINE))
    stuck(stage, actor, lambda _: gate.wait(DEADLINE))
    try:
        runtime.kill(actor, Ladder(stop=SOON, release=DEADLINE), WHY)
        log.await_event(LadderRung, "rt/a")
        runtime.timer.after(0, ticked.set)
        assert ticked.wait(DEADLINE)
        reason, _rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=SOON)
        assert reason.kind is ExitKind.ABANDONED
        ticked.clear()
        runtime.timer.after(0, ticked.set)
        assert ticked.wait(DEADLINE)
    finally:
        gate.set()
    log.await_event(ZombieEnded, "rt/a")


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=lambda error: type(error).__name__)
def test_a_release_hook_that_raises_does_not_stop_the_ladder(stage, runtime, error):
    """The next rung comes."""

    def fail(_):
        raise error

    actor = Probe(release=fail)
    stuck(stage, actor, spin)
    reason, _rungs = kill(runtime, actor, stop=SOON, release=SOON, exception=DEADLINE)
    assert reason.kind is ExitKind.KILLED


def test_release_is_called_in_place_when_no_thread_can_be_had(stage, runtime, monkeypatch):
    """As at interpreter exit, where newer Pythons start no thread: the ladder goes on all the same."""
    released = threading.Event()
    actor = Probe(release=lambda _: released.set())
    stuck(stage, actor, lambda _: released.wait(DEADLINE))

    def no_thread(_self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert kill(runtime, actor, stop=SOON, release=DEADLINE) == (WHY, ["release"])


def test_killing_the_dead_does_nothing(stage, runtime, make, journal):
    """The ladder sees at once that there is nobody."""
    actor = make(journal)
    stage.enter(actor)
    kill(runtime, actor, stop=DEADLINE)
    before = journal.entries()
    assert kill(runtime, actor, stop=0.0) == (WHY, [])
    assert journal.entries() == before


def test_what_an_abandoned_actor_still_sends_is_dropped_and_counted(stage, runtime, log, make):
    """Its tells are dead letters, its asks fail at once: its successor and the rest of the tree never hear from it."""
    gate, results, target = threading.Event(), [], Probe()
    ref = stage.enter(target, "target")

    def speak():
        for _ in range(3):
            ref.tell("late")
        results.append(ref.request("late").get)

    def late(_):
        try:
            while not gate.wait(0.01):
                pass
        except BaseException:
            gate.wait(DEADLINE)
        finally:
            speak()

    async def late_on_a_loop(_):
        while not gate.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                continue
        await asyncio.to_thread(speak)

    actor = make()
    stuck(stage, actor, late if isinstance(actor, Probe) else late_on_a_loop)
    gate_opens_late = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=0)
    runtime.kill(actor, gate_opens_late, WHY)
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.ABANDONED
    gate.set()
    log.await_event(DeadLetter, "rt/target", count=4)
    await_true(lambda: results, "it has spoken")
    with pytest.raises(pykka.ActorDeadError):
        results[0](timeout=DEADLINE)
    letters = log.of(DeadLetter, "rt/target")
    assert [(letter.why, letter.sender) for letter in letters] == [("fenced", actor.path)] * 4  # three tells, one ask
    assert runtime.late_messages == {actor.path: 4}
    assert runtime.dead_letters["rt/target"] == 4
    log.await_event(ZombieEnded, "rt/a")


def test_two_ladders_on_one_actor_end_it_once(stage, runtime, make):
    """An impatient operator may start a second ladder; there is one end all the same."""
    heard, actor = [], make()
    stage.enter(actor)
    actor.monitor(heard.append)
    for _ in range(2):
        runtime.kill(actor, Ladder(stop=DEADLINE), SHUTDOWN)
    down_of(actor).get(timeout=DEADLINE)
    assert len(heard) == 1


def test_a_ladder_can_be_shortened_in_proportion():
    """What may take ten seconds fits into one, each rung with its share; one that waits for a tree stays."""
    ladder = Ladder(stop=5, cancel=2, release=2, exception=1)
    assert ladder.within(1).total == pytest.approx(1)
    assert ladder.within(1).stop == pytest.approx(0.5)
    assert ladder.within(60) is ladder
    patient = Ladder(stop=float("inf"))
    assert patient.within(1) is patient
