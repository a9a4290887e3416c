"""A kill ends its actor and nothing else: no ask on its way is lost, no neighbour is hit, nothing dead is kept."""

import asyncio
import gc
import sys
import threading
import weakref

import pykka
import pytest

from supervisors import (
    ActorExit,
    ChildSpec,
    EventQueue,
    ExitKind,
    ExitReason,
    Killed,
    Ladder,
    Supervisor,
    SupervisorSpec,
    ThreadActor,
)
from supervisors.async_actor import AsyncActor
from supervisors.events import MailboxHigh
from supervisors.signals import Kill
from supervisors.testing import DEADLINE, AsyncProbe, Do, Gate, Probe, await_true, down_of
from supervisors.threads import raise_in_frame, raise_in_thread
from tests.supervisors.conftest import make_loop

WHY = ExitReason(ExitKind.KILLED, "by the test")
ROUNDS = 60


def unanswered_after_kills(stage, make):
    """Kill actors at the very moment when asks come; returns the asks that are open when the actor has ended."""
    lost = []
    for number in range(ROUNDS):
        actor = make()
        ref = stage.enter(actor, f"a{number}")
        begin, asked = threading.Barrier(2), []

        def ask(ref=ref, begin=begin, asked=asked):
            begin.wait()
            for _ in range(20):
                asked.append(ref.request("x"))

        asker = threading.Thread(target=ask)
        asker.start()
        begin.wait()
        actor.inject(WHY)
        assert down_of(actor).get(timeout=DEADLINE).reason == WHY
        asker.join(DEADLINE)
        lost += [future for future in asked if not future.done()]
    return lost


def test_a_kill_while_asks_come_leaves_none_unanswered(stage, make):
    """The exception would hit an idle actor just when a message is out of its mailbox and not yet in hand."""
    assert unanswered_after_kills(stage, make) == []


def test_an_exception_raised_in_an_idle_thread_loses_asks(stage, monkeypatch):
    """The twin: an ask that wakes the thread is out of the mailbox when the exception arrives, and in nobody's hand."""

    def inject(self, reason):
        self._kill_reason = reason
        raise_in_thread(self._thread.ident)
        return True

    monkeypatch.setattr(ThreadActor, "inject", inject)
    assert unanswered_after_kills(stage, Probe)


def survivors_of_kills_on_their_loop(stage):
    """Kill actors while they work on a loop that they share; returns whether the neighbour still answers."""
    loop = make_loop()
    neighbour = stage.enter(AsyncProbe(loop), "neighbour")
    for number in range(ROUNDS):
        actor = AsyncProbe(loop)
        ref, busy = stage.enter(actor, f"a{number}"), threading.Event()

        async def work(_, busy=busy):
            busy.set()
            for step in range(2000):
                if step % 20 == 0:
                    await asyncio.sleep(0)

        ref.tell(Do(work))
        assert busy.wait(DEADLINE)
        actor.inject(WHY)
        try:
            down_of(actor).get(timeout=2.0)
            neighbour.ask("alive", timeout=2.0)
        except (pykka.Timeout, pykka.ActorDeadError):
            return False
    return True


def test_a_kill_of_an_actor_at_work_never_hits_its_loop_or_its_neighbours(stage):
    """It works and awaits in turns, so that it is on the stack and off again when the kill comes."""
    assert survivors_of_kills_on_their_loop(stage)


@pytest.mark.parametrize("held", ["timer", "event queue"])
@pytest.mark.usefixtures("kills_in_callbacks_are_no_news")
def test_a_kill_leaves_no_lock_of_the_runtime_taken(runtime, stage, held):
    """Actors are killed while they set timers and tell queues of events; those serve the others afterwards."""
    queue = EventQueue(runtime, lambda _: None)

    def work(actor):
        at_work.set()
        while True:
            if held == "timer":
                actor.send_after(3600, "late").cancel()
            else:
                actor.runtime.emit(MailboxHigh(actor.path, actor.incarnation, 1, None))

    for number in range(300):
        actor, at_work = Probe(), threading.Event()
        stage.enter(actor, f"a{number}").tell(Do(work))
        down = down_of(actor)
        assert at_work.wait(DEADLINE)
        await_true(lambda down=down, actor=actor: down.done() or (actor.inject(WHY) and None), "it is killed")
    heard = threading.Event()
    queue.close()
    runtime.timer.after(0.0, heard.set)
    assert heard.wait(DEADLINE)


def test_a_kill_is_not_raised_while_a_thread_is_started(stage, monkeypatch):
    """It would arrive in the new thread, and whoever starts it would wait for ever; it ends after this message."""
    entered, gate, start_new = threading.Event(), threading.Event(), threading._start_new_thread

    def slow_start(*args):
        if threading.current_thread().name == "rt/a":
            entered.set()
            gate.wait(DEADLINE)
        return start_new(*args)

    monkeypatch.setattr(threading, "_start_new_thread", slow_start)
    ran, actor = threading.Event(), Probe()
    ref = stage.enter(actor)
    started = ref.request(Do(lambda _: threading.Thread(target=ran.set).start()))
    assert entered.wait(DEADLINE)
    assert actor.inject(WHY)
    assert not actor._injected
    gate.set()
    assert started.get(timeout=DEADLINE) is None
    assert ran.wait(DEADLINE)
    assert down_of(actor).get(timeout=DEADLINE).reason == WHY


def test_a_kill_is_never_raised_in_a_neighbour_that_keeps_the_loop_busy(stage):
    """Who is killed ends when it gets its turn; the handler that ran meanwhile answers as if nothing had been."""
    loop, busy, over = make_loop(), threading.Event(), threading.Event()
    actor, neighbour = AsyncProbe(loop), AsyncProbe(loop)
    stage.enter(actor)

    def work(_):
        busy.set()
        while not over.is_set():
            pass
        return "done"

    answer = stage.enter(neighbour, "neighbour").request(Do(work))
    assert busy.wait(DEADLINE)
    actor.inject(WHY)
    over.set()
    assert answer.get(timeout=DEADLINE) == "done"
    assert down_of(actor).get(timeout=DEADLINE).reason == WHY
    assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"


def test_an_exception_is_raised_only_where_it_was_aimed():
    """In a frame that is not the innermost any more it is not raised at all: the thread goes on unharmed."""
    aimed, moved_on, result = threading.Event(), threading.Event(), []

    def first():
        result.append(sys._getframe())
        aimed.set()
        moved_on.wait(DEADLINE)

    def work():
        first()
        result.append(sum(range(1000)))

    thread = threading.Thread(target=work)
    thread.start()
    assert aimed.wait(DEADLINE)
    assert not raise_in_frame(thread.ident, result[0])  # it waits in a frame further in
    moved_on.set()
    thread.join(DEADLINE)
    assert result[1] == sum(range(1000))
    assert not raise_in_frame(thread.ident, result[0])


@pytest.mark.parametrize("where", ["mailbox", "reply"])
def test_an_actor_between_two_messages_is_ended_by_a_signal(stage, make, where):
    """It overtakes the messages; nobody raises an exception in the kernel's own code."""
    actor = make()
    ref = stage.enter(actor)
    if where == "reply":
        ref.ask("x", timeout=DEADLINE)
    actor.signal(Kill(WHY))
    assert down_of(actor).get(timeout=DEADLINE).reason == WHY


def test_a_supervisor_is_killed_between_two_messages(runtime):
    """No child is half started: whatever the kill meets, no thread of a child is left (the runtime is checked)."""
    started = threading.Event()

    def make():
        started.set()
        return Probe()

    for _ in range(20):
        root = Supervisor(SupervisorSpec([ChildSpec(f"c{number}", make) for number in range(5)]))
        started.clear()
        runtime.launch(root, "rt/s")
        assert started.wait(DEADLINE)
        root.inject(WHY)
        assert down_of(root).get(timeout=DEADLINE).reason == WHY
        await_true(lambda: [ref for ref in runtime.refs() if ref.is_up()] == [], "all children end with it")


def test_a_supervisor_that_is_stuck_in_a_start_function_is_killed_by_the_second_blow(runtime):
    """The ladder strikes three times."""
    entered, over = threading.Event(), threading.Event()

    def make():
        entered.set()
        while not over.is_set():
            pass
        return Probe()

    root = Supervisor(SupervisorSpec([ChildSpec("a", make)]))
    runtime.launch(root, "rt/s")
    assert entered.wait(DEADLINE)
    runtime.kill(root, Ladder(stop=0, cancel=0, release=0, exception=3.0), WHY)
    try:
        assert down_of(root).get(timeout=DEADLINE).reason.kind is ExitKind.KILLED
    finally:
        over.set()


def test_a_supervisor_that_crashed_is_not_kept_by_its_timers(runtime):
    """Start timeouts and delayed restarts are set for a minute ahead."""
    gate = Gate()
    slow = ChildSpec("slow", lambda: Probe(start=gate.hold), ladder=Ladder(stop=0, cancel=0, release=0, exception=0))
    root = Supervisor(SupervisorSpec([slow]))
    runtime.launch(root, "rt/s")
    gate.await_held()
    root.signal(Kill(WHY))
    down_of(root).get(timeout=DEADLINE)
    gate.open()
    root._thread.join(DEADLINE)
    await_true(lambda: not runtime.zombies(), "the child has ended")
    gone = weakref.ref(root)
    runtime.ref("rt/s").point_to(None)
    del root
    gc.collect()
    assert gone() is None


def test_an_actor_that_ends_while_its_ladder_is_being_set_up_is_not_kept_by_it(runtime, stage):
    """Its end comes just before the timer of the next rung is set."""
    actor = Probe()
    stage.enter(actor)
    down, after = down_of(actor), runtime.timer.after

    def late(seconds, function):
        down.get(timeout=DEADLINE)
        return after(seconds, function)

    runtime.timer.after = late
    runtime.kill(actor, Ladder(stop=3600), WHY)
    del runtime.timer.after
    actor._thread.join(DEADLINE)
    gone = weakref.ref(actor)
    actor.ref.point_to(None)
    late = down = actor = None
    gc.collect()
    assert gone() is None


def test_a_late_kill_does_not_hit_the_thread_that_has_the_id_now(stage):
    """Ids of threads are used again at once: a kill of the dead is none."""
    first = Probe()
    stage.enter(first, "first")
    ident = first._thread.ident
    first.request_stop()
    down_of(first).get(timeout=DEADLINE)
    first._thread.join(DEADLINE)
    for number in range(200):
        successor = Probe()
        ref = stage.enter(successor, f"s{number}")
        assert not first.inject(WHY)
        assert ref.ask("unharmed", timeout=DEADLINE) == "unharmed"
        if successor._thread.ident == ident:
            return
        successor.request_stop()
        down_of(successor).get(timeout=DEADLINE)
        successor._thread.join(DEADLINE)
    pytest.skip("this system gave the id to nobody else")


def retry_for_ever(step):
    """A loop as scrapers have them."""
    while True:
        try:
            step()
        except Exception:
            continue


async def retry_awaiting(step):
    while True:
        try:
            await step()
        except Exception:
            continue


@pytest.mark.parametrize("exit_of_kernel", [Killed(), ActorExit(WHY), asyncio.CancelledError()], ids=repr)
def test_a_retry_loop_passes_the_exits_of_the_kernel_through(stage, make, exit_of_kernel):
    """``except Exception`` must not keep an actor alive that is to end."""

    def step():
        raise exit_of_kernel

    async def step_awaiting():
        raise exit_of_kernel

    actor = make()
    work = (lambda _: retry_for_ever(step)) if make is Probe else (lambda _: retry_awaiting(step_awaiting))
    stage.enter(actor).tell(Do(work))
    assert down_of(actor).get(timeout=DEADLINE).reason.abnormal


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_retry_loop_ends_by_its_rung(stage, runtime, kind):
    """One that spins by the exception, one that awaits by its cancellation."""
    actor = Probe() if kind == "thread" else AsyncProbe(make_loop())
    busy = threading.Event()

    def spin():
        busy.set()
        raise ValueError

    async def wait():
        busy.set()
        await asyncio.sleep(0.001)
        raise ValueError

    work = (lambda _: retry_for_ever(spin)) if kind == "thread" else (lambda _: retry_awaiting(wait))
    stage.enter(actor).tell(Do(work))
    assert busy.wait(DEADLINE)
    runtime.kill(actor, Ladder(stop=0.05, cancel=DEADLINE, release=0, exception=DEADLINE), WHY)
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.KILLED


def test_code_of_the_kernel_is_not_taken_for_that_of_a_user():
    """The loops that call users are found by their code; one that was renamed would never be interrupted."""
    from supervisors import async_actor, thread_actor

    names = {code.co_name for code in thread_actor._LOOP_CODES | async_actor._LOOP_CODES}
    assert names == {"_run", "_live", "_serve", "_handle", "_last_hook", "_shepherd"}
    assert issubclass(ActorExit, BaseException)
    assert AsyncActor._run.__code__ in async_actor._LOOP_CODES
