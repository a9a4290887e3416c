"""Supervisors on an event loop: what is different when nobody has a thread of his own."""

import asyncio
import threading

import pytest

from supervisors import (
    AskCycleError,
    AsyncSupervisor,
    ChildKind,
    ChildSpec,
    ExitKind,
    ExitReason,
    Ladder,
    LoopThread,
    LoopWatchdog,
    RestartPolicy,
    Supervisor,
    SupervisorSpec,
    count_children,
    get_state,
    resume,
    start_child,
    statistics,
    suspend,
    terminate_child,
    which_children,
)
from supervisors.events import Abandoned, Ended, LadderRung, Started
from supervisors.testing import DEADLINE, AsyncProbe, Do, Gate, Probe, await_tree, await_true, down_of, tree_look
from tests.supervisors.conftest import make_loop

OFTEN = RestartPolicy.otp(10_000)
SOON = 0.05
QUICK = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=SOON)


def spec(*children, **options):
    return SupervisorSpec(children, **{"restarts": OFTEN} | options)


def crash(_):
    raise ValueError("boom")


@pytest.fixture
def loop():
    return make_loop()


def test_a_restart_on_the_loop_changes_threads_no_more(runtime, loop, log):
    """Start function, supervisor and children run in one thread, that of the loop; there is no other."""
    ran_in = []

    def make():
        ran_in.append(threading.get_ident())
        return AsyncProbe(loop, start=lambda _: ran_in.append(threading.get_ident()))

    root = runtime.start(AsyncSupervisor(loop, spec(ChildSpec("a", make))))
    for n in range(2, 5):
        runtime.ref("rt/a").tell(Do(crash))
        log.await_event(Started, "rt/a", n)
    assert set(ran_in) == {loop.ident}
    assert len(ran_in) == 8
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("rt/")] == []
    assert tree_look(root) == "a=up"


def test_children_may_live_anywhere(runtime, loop, log, journal):
    """A thread, the same loop, another one: each is restarted, and all are stopped in their order."""
    other = make_loop()
    kinds = {
        "thread": lambda: Probe(journal),
        "near": lambda: AsyncProbe(loop, journal),
        "far": lambda: AsyncProbe(other, journal),
    }
    keeper = AsyncProbe(other)
    other.attach(keeper)
    runtime.start(AsyncSupervisor(loop, spec(*(ChildSpec(name, make) for name, make in kinds.items()))))
    for name in kinds:
        runtime.ref(f"rt/{name}").tell(Do(crash))
        log.await_event(Started, f"rt/{name}", 2)
    assert runtime.stop(DEADLINE)
    assert journal.entries()[-3:] == ["-far", "-near", "-thread"]
    other.detach(keeper)


def test_a_supervisor_on_a_loop_answers_as_every_other(runtime, loop):
    """The dynamic API, the system messages, and Pykka's own way to stop it."""
    root = runtime.start(AsyncSupervisor(loop, spec(ChildSpec("a", lambda: AsyncProbe(loop)))))
    start_child(root, ChildSpec("b", lambda: AsyncProbe(loop))).get(timeout=DEADLINE)
    assert [row.id for row in which_children(root).get(timeout=DEADLINE)] == ["a", "b"]
    assert count_children(root).get(timeout=DEADLINE)["active"] == 2
    terminate_child(root, "b").get(timeout=DEADLINE)
    assert tree_look(root) == "a=up b=undefined"
    assert "_state" in get_state(root).get(timeout=DEADLINE)
    assert statistics(root).get(timeout=DEADLINE).path == "rt"
    assert suspend(root).get(timeout=DEADLINE)
    asked = count_children(root)
    runtime.ref("rt/a").tell(Do(crash))  # news of children are signals: it restarts them all the same
    await_true(lambda: root.actor.children()[0].restarts == 1, "it restarts a child while it is suspended")
    assert not asked.done()
    resume(root).get(timeout=DEADLINE)
    assert asked.get(timeout=DEADLINE)["active"] == 1
    assert root.actor.actor_ref.stop(timeout=DEADLINE)
    assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.SHUTDOWN


@pytest.mark.parametrize("how", ["a bug", "the ladder", "foreign code"])
def test_one_that_is_ended_takes_its_subtree_along(runtime, loop, log, journal, how):
    """Before its parent hears of it, and whoever ended it: the new subtree never meets the old one."""

    class Frail(AsyncSupervisor):
        def on_receive(self, message):
            if message == "crash":
                raise ValueError("a bug in the supervisor")
            return super().on_receive(message)

    keeper = AsyncProbe(loop)
    loop.attach(keeper)
    below = spec(*(ChildSpec(name, lambda: AsyncProbe(loop, journal)) for name in "xy"))
    child = ChildSpec("s", lambda: Frail(loop, below), kind=ChildKind.SUPERVISOR)
    runtime.start(Supervisor(spec(child)))
    ended = down_of(runtime.ref("rt/s").actor)
    if how == "a bug":
        runtime.ref("rt/s").tell("crash")
    elif how == "the ladder":
        runtime.kill(runtime.ref("rt/s").actor, Ladder(stop=0, cancel=DEADLINE), ExitReason(ExitKind.SHUTDOWN))
    else:
        task = runtime.ref("rt/s").actor._task
        loop.loop.call_soon_threadsafe(task.cancel)
    log.await_event(Started, "rt/s", 2)
    assert ended.get(timeout=DEADLINE).reason.kind is (ExitKind.KILLED if how == "the ladder" else ExitKind.ERROR)
    entries = journal.entries()
    assert sorted(entries[2:4]) == ["-x", "-y"]
    assert entries[4:] == ["+x", "+y"]
    assert runtime.stop(DEADLINE)
    loop.detach(keeper)


def test_a_loop_that_is_given_up_takes_its_supervisor_along_and_both_come_back_on_another(runtime, log):
    """Its own supervisor lives in a thread: that is why it can start the subtree anew."""
    gate, loops = threading.Event(), []

    def subtree():
        loop = make_loop()
        loops.append(loop)
        LoopWatchdog(runtime, loop, 0.1, 0.1).begin()
        return AsyncSupervisor(loop, spec(ChildSpec("x", lambda: AsyncProbe(loop))))

    root = runtime.start(Supervisor(spec(ChildSpec("s", subtree, kind=ChildKind.SUPERVISOR))))
    first = runtime.ref("rt/s/x").incarnation
    runtime.ref("rt/s/x").tell(Do(lambda _: gate.wait(DEADLINE)))
    log.await_event(Abandoned, "rt/s")
    log.await_event(Started, "rt/s", 2)
    await_tree(root, "s=up(x=up)")
    assert runtime.ref("rt/s/x").incarnation != first
    gate.set()
    await_true(lambda: not runtime.zombies(), "the first subtree ends once its loop turns")
    assert loops[0].join(DEADLINE)
    assert tree_look(root) == "s=up(x=up)"


def test_one_whose_child_will_not_stop_serves_the_others_meanwhile(runtime, loop, log, journal):
    """The ladder waits on the timer, not on the loop."""
    gate = Gate()
    stubborn = ChildSpec("x", lambda: Probe(journal, stop=gate.hold), ladder=Ladder(stop=DEADLINE))
    lively = ChildSpec("y", lambda: AsyncProbe(loop, journal))
    root = runtime.start(AsyncSupervisor(loop, spec(stubborn, lively)))
    asked = terminate_child(root, "x")
    gate.await_held()
    runtime.ref("rt/y").tell(Do(crash))
    log.await_event(Started, "rt/y", 2)
    assert not asked.done()
    gate.open()
    asked.get(timeout=DEADLINE)
    assert [event.path for event in log.of(Ended)] == ["rt/y", "rt/x"]


def test_children_on_the_same_loop_that_do_not_stop_are_cancelled_side_by_side(runtime, loop, log, journal):
    """Their ladders climb to the rung that only coroutines have, and no further."""
    gate, patience = Gate(), Ladder(stop=SOON, cancel=DEADLINE)
    children = [ChildSpec(name, lambda: AsyncProbe(loop, journal, stop=gate.hold), ladder=patience) for name in "xyz"]
    runtime.start(AsyncSupervisor(loop, spec(*children, pool=True)))
    runtime.ref("rt").actor.request_stop()
    gate.await_held(3)
    assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.SHUTDOWN
    assert sorted((event.path, event.rung) for event in log.of(LadderRung)) == [(f"rt/{n}", "cancel") for n in "xyz"]
    assert {event.reason.kind for event in log.of(Ended)} == {ExitKind.KILLED}


def test_a_supervisor_that_crashes_on_a_loop_waits_for_its_subtree_without_holding_the_loop_up(runtime, loop, journal):
    """A neighbour is served while it does."""
    gate = Gate()
    below = spec(ChildSpec("x", lambda: Probe(journal, stop=gate.hold), ladder=Ladder(stop=DEADLINE)))
    child = ChildSpec("s", lambda: AsyncSupervisor(loop, below), kind=ChildKind.SUPERVISOR)
    root = runtime.start(AsyncSupervisor(loop, spec(child, ChildSpec("y", lambda: AsyncProbe(loop, journal)))))
    crashed = runtime.ref("rt/s").actor
    crashed.request_cancel(ExitReason(ExitKind.KILLED))
    gate.await_held()
    assert runtime.ref("rt/y").ask("alive", timeout=DEADLINE) == "alive"
    assert count_children(root).get(timeout=DEADLINE)["active"] == 2
    assert runtime.ref("rt/s").actor is crashed
    for _ in range(3):  # whoever cancels it now does not make it forget its children
        loop.loop.call_soon_threadsafe(crashed._task.cancel)
    assert runtime.ref("rt/y").ask("alive", timeout=DEADLINE) == "alive"
    assert count_children(root).get(timeout=DEADLINE)["active"] == 2
    assert runtime.ref("rt/s").actor is crashed
    gate.open()
    await_tree(root, "s=up(x=up) y=up")


@pytest.mark.parametrize("bad", [None, "spec", ChildSpec("a", lambda: None)])
def test_what_is_no_specification_is_refused_by_name(loop, bad):
    with pytest.raises(ValueError, match="AsyncSupervisor takes a SupervisorSpec, got"):
        AsyncSupervisor(loop, bad)
    _end(loop)


def test_a_loop_that_has_ended_refuses_the_start(runtime, loop):
    _end(loop)
    with pytest.raises(RuntimeError, match="has ended with its last actor"):
        runtime.start(AsyncSupervisor(loop, spec()))


def test_an_ask_from_a_child_to_its_supervisor_on_the_same_loop_is_awaited(runtime, loop):
    """The loop turns while it waits; a blocking ask would wait for itself, and is told so."""

    async def awaits(actor):
        return await count_children(actor.runtime.ref("rt"))

    root = runtime.start(AsyncSupervisor(loop, spec(ChildSpec("a", lambda: AsyncProbe(loop)))))
    assert runtime.ref("rt/a").ask(Do(awaits), timeout=DEADLINE)["active"] == 1
    with pytest.raises(AskCycleError, match="rt/a"):
        runtime.ref("rt/a").ask(Do(lambda _: root.ask("x", timeout=DEADLINE)), timeout=DEADLINE)


def _end(loop: LoopThread) -> None:
    keeper = AsyncProbe(loop)
    loop.attach(keeper)
    loop.detach(keeper)
    assert loop.join(DEADLINE)


def test_an_answer_given_on_the_loop_wakes_who_awaits_it_there(runtime, loop):
    """Also when it is answered before, within, and after the await."""

    async def ask_thrice(actor):
        near = actor.runtime.ref("rt/b")
        first = near.request(1)
        while not first.done():
            await asyncio.sleep(0)
        return [await first, await near.request(2), *await asyncio.gather(near.request(3), near.request(4))]

    runtime.start(AsyncSupervisor(loop, spec(*(ChildSpec(name, lambda: AsyncProbe(loop)) for name in "ab"))))
    assert runtime.ref("rt/a").ask(Do(ask_thrice), timeout=DEADLINE) == [1, 2, 3, 4]
