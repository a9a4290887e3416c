"""Event loops in threads of their own: they end with their last actor, and with nothing else."""

import asyncio
import gc
import logging
import threading
import weakref

import pytest

from supervisors import SHUTDOWN, ExitKind, ExitReason, Ladder, LoopWatchdog
from supervisors.events import ZombieEnded
from supervisors.testing import DEADLINE, AsyncProbe, Do, await_true, down_of
from tests.supervisors.conftest import make_loop, open_files


def stop(actor):
    actor.request_stop()
    return down_of(actor).get(timeout=DEADLINE).reason


def test_a_loop_ends_with_its_last_actor(stage):
    """Not with the first one that ends."""
    loop = make_loop()
    first, last = AsyncProbe(loop), AsyncProbe(loop)
    stage.enter(first), stage.enter(last, "b")
    stop(first)
    assert last.ref.ask("alive", timeout=DEADLINE) == "alive"
    assert loop.actors() == (last,)
    stop(last)
    assert loop.join(DEADLINE)
    assert loop.loop.is_closed()


def test_a_loop_that_nobody_has_moved_onto_ends_when_nobody_refers_to_it(runtime):
    """A start function may fail after it has made one; a watchdog on it keeps it no longer."""
    loop = make_loop()
    thread, turns = loop._thread, loop.loop
    LoopWatchdog(runtime, loop, 5.0, 5.0).begin()
    actor = AsyncProbe(loop)
    del loop
    assert not turns.is_closed()
    assert actor.loop_thread.is_alive()
    del actor
    gc.collect()
    await_true(lambda: not thread.is_alive(), "its thread ends")
    assert turns.is_closed()


def test_a_loop_lives_for_an_actor_that_nobody_refers_to(runtime):
    """It is in use, although the garbage collector finds nothing that leads there."""
    ready = threading.Event()
    actor = AsyncProbe(make_loop(), start=lambda _: ready.set())
    loop = weakref.ref(actor.loop_thread)
    runtime.launch(actor, "rt/a")
    del actor
    assert ready.wait(DEADLINE)
    gc.collect()
    assert loop() is not None
    assert loop().is_alive()
    loop().actors()[0].request_stop()
    await_true(lambda: loop() is None or not loop().is_alive(), "it ends with its last actor")


def test_an_actor_whose_task_is_cancelled_before_its_first_step_has_ended(stage, runtime):
    """Nothing of it ran, and still whoever watches it is told."""
    actor = AsyncProbe(make_loop())
    stage.enter(actor)

    def launch_and_cancel(actor):
        child = AsyncProbe(actor.loop_thread)
        down = down_of(child)
        runtime.launch(child, "rt/child")
        child._task.cancel()
        return down

    down = actor.ref.ask(Do(launch_and_cancel), timeout=DEADLINE)  # which the actor has awaited
    assert (down.reason.kind, down.reason.error_type) == (ExitKind.START_FAILED, "CancelledError")
    assert actor.loop_thread.actors() == (actor,)


def test_fifty_loops_leave_no_file_thread_or_warning(stage, caplog):
    """Tasks that the actors left behind are cancelled and their generators closed before the loop is closed."""
    fds, closed = len(open_files()), []

    async def ticks():
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            closed.append(1)

    async def leave_work_behind(actor):
        actor.left = [asyncio.create_task(asyncio.sleep(3600)), actor.spawn(asyncio.sleep(3600))]
        generator = ticks()
        actor.left.append(generator)
        await anext(generator)

    with caplog.at_level(logging.WARNING, "asyncio"):
        for number in range(50):
            loop = make_loop()
            actor = AsyncProbe(loop)
            stage.enter(actor, f"a{number}").ask(Do(leave_work_behind), timeout=DEADLINE)
            stop(actor)
            assert loop.join(DEADLINE)
            assert [left.done() for left in actor.left[:2]] == [True, True]
        gc.collect()
    assert caplog.text == ""
    assert len(closed) == 50
    assert len(open_files()) == fds


def test_neither_a_stop_of_the_loop_nor_a_foreign_system_exit_ends_it(stage):
    """Only its actors keep it alive."""
    loop = make_loop()
    ref = stage.enter(AsyncProbe(loop))

    def disturb(actor):
        running = asyncio.get_running_loop()
        running.call_soon(running.stop)
        running.call_soon(lambda: (_ for _ in ()).throw(SystemExit(1)))
        running.call_soon(running.stop)

    ref.ask(Do(disturb), timeout=DEADLINE)
    for _ in range(5):
        assert ref.ask("alive", timeout=DEADLINE) == "alive"


def test_an_exception_in_the_very_turn_in_which_the_last_actor_leaves_does_not_keep_the_loop(stage):
    """The request to stop is not lost with the turn."""
    loop = make_loop()
    actor = AsyncProbe(loop, stop=lambda _: exit_later())
    stage.enter(actor)

    def leave():
        raise SystemExit(1)

    def exit_later():
        for _ in range(5):
            asyncio.get_running_loop().call_soon(leave)

    stop(actor)
    assert loop.join(DEADLINE)


def test_a_left_over_task_that_swallows_its_cancellation_does_not_keep_the_loop(stage, monkeypatch):
    """It is given a moment; then the loop is closed without it."""
    monkeypatch.setattr("supervisors.loop_thread._TASKS_GET", 0.05)
    loop, over = make_loop(), threading.Event()

    async def swallow():
        while not over.is_set():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    actor = AsyncProbe(loop)
    stage.enter(actor).ask(Do(lambda actor: actor.spawn(swallow()) and None), timeout=DEADLINE)
    stop(actor)
    assert loop.join(DEADLINE)
    assert loop.loop.is_closed()
    over.set()


def test_a_coroutine_that_was_abandoned_ends_with_its_loop(stage, runtime, log, monkeypatch):
    """Although it swallows every cancellation: nothing runs it any more, so it is listed no more either."""
    monkeypatch.setattr("supervisors.loop_thread._TASKS_GET", 0.05)
    loop, entered = make_loop(), threading.Event()

    async def swallow(_):
        while True:
            try:
                entered.set()
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    actor = AsyncProbe(loop, fail=lambda _: asyncio.sleep(0))
    stage.enter(actor).tell(Do(swallow))
    assert entered.wait(DEADLINE)
    runtime.kill(actor, Ladder(stop=0.05, cancel=0.05, release=0, exception=0), SHUTDOWN)
    log.await_event(ZombieEnded, "rt/a")
    assert loop.join(DEADLINE)
    assert runtime.zombies() == {}


def test_foreign_code_that_an_actor_spawns_cannot_harm_the_loop(stage):
    """Its ``SystemExit`` is the result of the task, not the end of the neighbours."""

    async def leave():
        raise SystemExit(3)

    async def run(actor):
        return await actor.spawn(leave())

    raised = stage.enter(AsyncProbe(make_loop())).ask(Do(run), timeout=DEADLINE)
    assert isinstance(raised, SystemExit)


def test_nobody_moves_into_a_loop_that_is_ending(stage):
    """The start is refused and says what to do, instead of an actor that is never heard of."""
    loop = make_loop()
    actor = AsyncProbe(loop)
    stage.enter(actor)
    stop(actor)
    late = AsyncProbe(loop)
    reason = stage.try_enter(late, "late").get(timeout=DEADLINE).reason
    assert reason.kind is ExitKind.START_FAILED
    assert "start on a new one" in reason.error_text


def test_a_successor_never_meets_the_loop_of_its_predecessor_half_closed(stage):
    """Started at the very moment the last one ends, it is either served or refused, never lost."""
    for number in range(50):
        loop = make_loop()
        first, second = AsyncProbe(loop), AsyncProbe(loop)
        stage.enter(first, f"a{number}")
        first.request_stop()
        down = stage.try_enter(second, f"b{number}")
        if not down.done():
            assert stop(second).kind is ExitKind.SHUTDOWN
        assert loop.join(DEADLINE)


def test_a_zombie_does_not_keep_its_loop(stage, runtime, log):
    """When the last living actor has left, the loop ends with what the zombie still awaits."""
    loop = make_loop()
    zombie, last = AsyncProbe(loop), AsyncProbe(loop)
    stage.enter(zombie), stage.enter(last, "b")
    entered = threading.Event()

    async def hang(_):
        entered.set()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if last.exit_reason is not None:
                    raise

    zombie.ref.tell(Do(hang))
    assert entered.wait(DEADLINE)
    runtime.add_zombie(zombie)
    zombie.abandon(ExitReason(ExitKind.SHUTDOWN))
    assert runtime.zombies()
    stop(last)
    assert loop.join(DEADLINE)
    await_true(lambda: not runtime.zombies(), "it is forgotten")


def test_an_actor_with_a_long_backlog_lets_its_neighbours_have_a_turn(stage):
    """Handlers that never suspend would otherwise hold the loop until the mailbox is empty."""
    loop, handled, gate = make_loop(), [], threading.Event()
    busy, neighbour = AsyncProbe(loop), AsyncProbe(loop)
    ref, other = stage.enter(busy), stage.enter(neighbour, "b")
    ref.tell(Do(lambda _: gate.wait(DEADLINE)))
    for _ in range(5000):
        ref.tell(Do(handled.append))
    seen = other.request(Do(lambda _: len(handled)))
    gate.set()
    assert seen.get(timeout=DEADLINE) < 5000
    await_true(lambda: len(handled) == 5000, "all are handled")


def test_a_stopping_actor_takes_only_its_own_loop_along(stage):
    """Loops know nothing of each other."""
    one, two = make_loop(), make_loop()
    first, second = AsyncProbe(one), AsyncProbe(two)
    stage.enter(first), stage.enter(second, "b")
    stop(first)
    assert one.join(DEADLINE)
    assert not one.is_alive()
    assert two.is_alive()
    assert second.ref.ask("alive", timeout=DEADLINE) == "alive"


def test_a_loop_knows_whose_code_runs_in_it(stage):
    """Also in a task that an actor has spawned, for as long as that runs; it forgets who has ended."""
    loop, gate, seen = make_loop(), asyncio.Event(), []
    actor, neighbour = AsyncProbe(loop), AsyncProbe(loop)

    async def work():
        await gate.wait()
        seen.append(loop.look()[1])

    stage.enter(actor).ask(Do(lambda actor: actor.spawn(work()) and None), timeout=DEADLINE)
    assert stage.enter(neighbour, "b").ask(Do(lambda _: loop.look()[1]), timeout=DEADLINE) is neighbour
    stop(actor)
    neighbour.ref.ask(Do(lambda _: gate.set()), timeout=DEADLINE)
    await_true(lambda: seen == [actor], "the task is known for what the actor has spawned")
    await_true(lambda: loop.look()[1] is None and list(loop.coroutines.values()) == [neighbour], "it has ended")
    stop(neighbour)
    assert loop.join(DEADLINE)
    assert loop.look() == ([], None)
    assert loop.coroutines == {}


@pytest.mark.parametrize("ended", [False, True])
def test_the_stack_of_an_actor_shows_where_it_waits(stage, ended):
    """Every await down to the innermost; empty once it has ended."""
    entered = threading.Event()

    async def inner():
        entered.set()
        await asyncio.sleep(3600)

    async def outer(_):
        await inner()

    actor = AsyncProbe(make_loop())
    stage.enter(actor).tell(Do(outer))
    assert entered.wait(DEADLINE)
    if ended:
        actor.request_cancel(ExitReason(ExitKind.KILLED))
        down_of(actor).get(timeout=DEADLINE)
        await_true(lambda: not actor.stack(), "nothing is left of it")
    else:
        await_true(lambda: "in inner" in actor.stack(), "it waits in there")
        assert "in outer" in actor.stack()
        actor.request_cancel(ExitReason(ExitKind.KILLED))
