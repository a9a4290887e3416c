"""Foreign work on a loop that others share: it may cancel its own tasks, and harms nobody by cancelling all."""

import asyncio
import contextlib

import pykka
import pytest

from supervisors import Confinement, ExitKind, ExitReason, ForeignTaskError, loop_thread
from supervisors.testing import DEADLINE, AsyncProbe, Do, down_of
from tests.supervisors.conftest import make_loop


async def cancel_all():
    """What a handler does that means well and knows nothing of its neighbours. Refusals do not stop it."""
    refused = []
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        try:
            task.cancel()
        except ForeignTaskError as error:
            refused.append(str(error))
    await asyncio.sleep(0)
    return refused


def neighbours_survive(culprit, neighbour):
    """An actor, its unconfined task and the confined work of another one live on beside work that cancels all."""
    work = Confinement("the work")

    async def settle(actor):
        actor.shared = asyncio.create_task(asyncio.sleep(3600))
        actor.main = actor.spawn(asyncio.sleep(3600), Confinement("another's work"))

    async def misbehave(actor):
        done = asyncio.get_running_loop().create_future()

        async def report():
            done.set_result(await cancel_all())

        actor.spawn(report(), work)
        return await done

    neighbour.ref.ask(Do(settle), timeout=DEADLINE)
    try:
        refused = culprit.ref.ask(Do(misbehave), timeout=DEADLINE)
        assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"
        assert [neighbour.shared.done(), neighbour.main.done()] == [False, False]
        assert len(refused) == 4, "two actors, a task, and the work of another"
        assert work.refused in refused
        assert work.refused.startswith("the work tried to cancel '")
    finally:
        for actor in (culprit, neighbour):
            actor.request_stop()
        assert culprit.loop_thread.join(DEADLINE)


def two_actors(stage):
    """Two that live on one loop."""
    culprit, neighbour = AsyncProbe(loop := make_loop()), AsyncProbe(loop)
    stage.enter(culprit), stage.enter(neighbour, "b")
    return culprit, neighbour


def test_confined_work_cancels_none_of_its_neighbours(stage):
    """It gets an error that names the task, and is on record for it."""
    neighbours_survive(*two_actors(stage))


def test_a_loop_with_plain_tasks_is_found(stage, monkeypatch):
    """The twin: without the loop's own kind of task the neighbour is gone, and so is the culprit's own actor."""
    monkeypatch.setattr(loop_thread, "make_task", None)
    culprit, neighbour = two_actors(stage)
    down = down_of(neighbour)
    with pytest.raises(pykka.ActorDeadError, match="rt/a ended before it answered"):
        neighbours_survive(culprit, neighbour)
    assert down.get(timeout=DEADLINE).reason.error_type == "CancelledError"


def test_an_actor_that_confined_work_launches_is_nobodys_own(stage):
    """It is an actor like every other: the work that launched it does not end it."""
    actor = AsyncProbe(make_loop())
    stage.enter(actor)

    async def launch_and_cancel(actor):
        child = AsyncProbe(actor.loop_thread)
        actor.runtime.launch(child, "rt/child")
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            with contextlib.suppress(ForeignTaskError):
                task.cancel()

    async def begin(actor):
        return await actor.spawn(launch_and_cancel(actor), Confinement("the work"))

    assert actor.ref.ask(Do(begin), timeout=DEADLINE) is None
    assert actor.runtime.ref("rt/child").ask("alive", timeout=DEADLINE) == "alive"


def test_confined_work_cancels_what_it_began(stage):
    """Its own tasks and deadlines work as everywhere, also where it waits for a task of somebody else."""
    actor = AsyncProbe(make_loop())
    stage.enter(actor)
    work = Confinement("the work")

    async def use_its_own(shared):
        task = asyncio.create_task(asyncio.sleep(3600))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(3600), 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(3600))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.shield(shared)

    async def begin(actor):
        actor.shared = asyncio.create_task(asyncio.sleep(3600))
        return await actor.spawn(use_its_own(actor.shared), work)

    assert actor.ref.ask(Do(begin), timeout=DEADLINE) is None
    assert not actor.shared.done()
    assert not work.refused


def test_a_cancellation_is_not_passed_on_to_others_tasks(stage):
    """Work that waits for all tasks by gather() is cancelled without them; it goes on to wait for them."""
    actor, neighbour = AsyncProbe(loop := make_loop()), AsyncProbe(loop)
    stage.enter(actor), stage.enter(neighbour, "b")

    async def wait_for_all():
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def begin(actor):
        task = actor.spawn(wait_for_all(), Confinement("the work"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        return task.done()

    assert actor.ref.ask(Do(begin), timeout=DEADLINE) is False
    assert neighbour.ref.ask("alive", timeout=DEADLINE) == "alive"


def test_tasks_that_another_work_began_may_be_cancelled_and_it_is_noted(stage):
    """Work may share tasks on purpose; whoever fails by it can tell whose doing it was."""
    actor = AsyncProbe(make_loop())
    stage.enter(actor)
    owner, other = Confinement("owner"), Confinement("other")

    async def begin(actor):
        begun = asyncio.get_running_loop().create_future()

        async def own():
            begun.set_result(asyncio.create_task(asyncio.sleep(3600)))
            await asyncio.sleep(3600)

        async def cancel():
            (await begun).cancel()

        actor.spawn(own(), owner)
        assert await actor.spawn(cancel(), other) is None
        await asyncio.wait({begun.result()})
        return begun.result().cancelled()

    assert actor.ref.ask(Do(begin), timeout=DEADLINE) is True
    assert owner.disturbed_by is other
    assert owner.culprit(KeyError()) is None


def test_a_failure_is_blamed_on_whoever_reached_for_others(stage):
    """Its own refusal or cancellation on the work itself, any other failure on the work that disturbed it."""
    actor = AsyncProbe(make_loop())
    stage.enter(actor)
    owner, other = Confinement("owner"), Confinement("other")

    async def begin(actor):
        begun = asyncio.get_running_loop().create_future()

        async def own():
            begun.set_result(asyncio.create_task(asyncio.sleep(3600)))
            await begun.result()

        task = actor.spawn(own(), owner)
        await begun
        await actor.spawn(cancel_all(), other)
        return await task

    error = actor.ref.ask(Do(begin), timeout=DEADLINE)
    assert isinstance(error, asyncio.CancelledError)
    assert owner.culprit(error) is other
    assert other.culprit(error) is other.culprit(ForeignTaskError()) is other
    assert other.culprit(KeyError()) is None
    assert Confinement("harmless").culprit(error) is None


def test_the_kernel_cancels_whoever_asks_it_to(stage):
    """A kill that confined code asks for is the kernel's."""
    actor, victim = AsyncProbe(loop := make_loop()), AsyncProbe(loop)
    stage.enter(actor), stage.enter(victim, "b")
    down = down_of(victim)

    async def kill():
        victim.request_cancel(ExitReason(ExitKind.KILLED, "by the test"))

    async def begin(actor):
        return await actor.spawn(kill(), Confinement("the work"))

    assert actor.ref.ask(Do(begin), timeout=DEADLINE) is None
    assert down.get(timeout=DEADLINE).reason.detail == "by the test"
