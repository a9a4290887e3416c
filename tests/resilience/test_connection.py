"""How managers reach their actors: private trees, deadlines, actors that die in mid-call, loops and their absence."""

import asyncio
import threading

import pytest

from scorewise_actors.correlation import Tracked, correlation, correlation_id
from scorewise_actors.events import EventType
from scorewise_actors.messages.resilience import Analyse, RecordSuccess
from scorewise_actors.resilience import connection
from scorewise_actors.resilience.connection import PrivateTree, TreeClient, shared_tree
from scorewise_actors.resilience.errors import AbortExecutionError, TreeUnavailableError
from supervisors.children import restart_child, terminate_child
from supervisors.exits import ExitKind, ExitReason
from supervisors.ref import Ref
from supervisors.spec import Ladder
from supervisors.testing import DEADLINE, await_true


class Client(TreeClient):
    unavailable = AbortExecutionError

    async def successes(self, job_id="job", **options):
        return (await self._call("failures", Analyse(job_id), **options))["successes"]

    async def succeed(self, given=None):
        await self._call("failures", RecordSuccess("job", id=given))


def ledger(tree):
    return tree.running().ref("resilience/failures").actor


def stick(actor):
    """Have the actor hang in its next message until the returned event is set."""
    free, stuck = threading.Event(), threading.Event()
    usual = actor.on_receive

    def hang(message):
        stuck.set()
        free.wait(60)
        return usual(message)

    actor.on_receive = hang
    return free, stuck


async def test_the_tree_starts_on_first_use_and_ends_with_its_last_manager():
    """Nothing runs before the first call, and nothing after the last manager was closed; what was known is gone."""
    tree = PrivateTree()
    first, second = Client(tree), Client(tree)
    assert tree.running() is None
    await first.succeed()
    runtime = tree.running()
    await first.close()
    await first.close()
    assert tree.running() is runtime
    assert await second.successes() == 1
    await second.close()
    assert tree.running() is None
    assert runtime.ended.done()
    async with Client(tree) as third:
        assert await third.successes() == 0


async def test_a_closed_manager_says_so():
    """A call after close is an error, not a new tree."""
    client = Client(PrivateTree())
    await client.close()
    with pytest.raises(TreeUnavailableError, match="Client was closed; make a new one"):
        await client.successes()


async def test_managers_constructed_alone_share_one_tree():
    """What one records, another one sees."""
    async with Client() as one, Client() as other:
        await one.succeed()
        assert await other.successes() == 1
    assert shared_tree().running() is None


async def test_a_forgotten_manager_does_not_keep_the_tree():
    """A manager that was collected without close leaves its seat; the next one to close ends the tree."""
    tree = PrivateTree()
    forgotten = Client(tree)
    await forgotten.succeed()
    runtime = tree.running()
    async with Client(tree):
        del forgotten
    assert runtime.ended.done()


async def test_a_stuck_actor_fails_the_call_by_deadline_and_the_loop_goes_on():
    """The caller gets the error of its manager, which names the actor; other tasks run meanwhile."""
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()
        free, stuck = stick(ledger(tree))
        turns = 0

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(others())
        with pytest.raises(AbortExecutionError, match=r"resilience/failures gave no answer within 0.2 s") as raised:
            await client.successes(deadline=0.2)
        other.cancel()
        free.set()
        assert stuck.is_set()
        assert turns > 10
        assert raised.value.error_code == "ACTOR_TIMEOUT"
        assert raised.value.context == {"actor": "failures", "deadline": 0.2}


async def test_a_call_survives_the_death_of_its_actor():
    """The actor is killed with the message in hand: its successor is asked again, and remembers what was recorded."""
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()
        actor = ledger(tree)
        free, stuck = stick(actor)
        asking = asyncio.create_task(client.successes(deadline=30))
        await asyncio.to_thread(stuck.wait, 30)
        tree.running().kill(actor, Ladder(stop=0, cancel=0, release=0), ExitReason(ExitKind.KILLED, "by the test"))
        free.set()
        assert await asking == 1
        assert ledger(tree) is not actor


async def test_a_call_to_an_actor_that_is_down_waits_until_it_comes(monkeypatch):
    """The message is sent once more, when somebody is there to answer it, and not again and again until then."""
    monkeypatch.setattr(connection, "_LOOK", DEADLINE)
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()
        runtime = tree.running()
        await terminate_child(runtime.ref("resilience"), "failures")
        sent, usual = [], Ref.request

        def request(ref, message, **options):
            sent.append(message)
            return usual(ref, message, **options)

        monkeypatch.setattr(Ref, "request", request)
        asking = asyncio.create_task(client.successes())
        await asyncio.to_thread(await_true, lambda: runtime.errands, "the call waits for somebody to come")
        await restart_child(runtime.ref("resilience"), "failures")
        assert await asking == 1
        assert sum(isinstance(message, Tracked) and message.message == Analyse("job") for message in sent) == 2


async def test_what_is_recorded_twice_counts_once():
    """A call that is sent again after the death of its actor may have been carried out before it."""
    async with Client(PrivateTree()) as client:
        await client.succeed("the same")
        await client.succeed("the same")
        assert await client.successes() == 1


async def test_an_actor_that_fails_on_a_message_is_an_error_with_its_cause():
    """A bug in an actor reaches the caller as the manager's error, and the actor is restarted."""
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()

        def fail(_message):
            raise ZeroDivisionError("planted")

        ledger(tree).on_receive = fail
        with pytest.raises(AbortExecutionError, match=r"resilience/failures failed: .*planted") as raised:
            await client.successes()
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        assert await client.successes() == 1


async def test_a_tree_that_gave_up_is_told_and_the_next_call_gets_a_new_one():
    """An actor that dies at every message uses up its supervisor's restarts; the managers live on."""
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()
        first = tree.running()
        first.kill(
            first.ref("resilience").actor, Ladder(stop=0, cancel=0, release=0), ExitReason(ExitKind.KILLED, "test")
        )
        await first.ended
        assert await client.successes() == 1
        assert tree.running() is not first


async def test_whoever_listens_to_the_tree_hears_the_managers():
    """Events of the managers are events of their runtime as well, with a kind of their own."""
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()
        heard = []
        tree.running().subscribe(heard.append, ["resilience"])
        tree.emit(EventType.CLEANUP_INITIATED, "resource", "job", level="gentle")
        assert [event.as_map()["type"] for event in heard] == ["cleanup_initiated"]
        assert str(heard[0]) == "cleanup_initiated of job job: level=gentle"


def test_two_loops_use_one_tree():
    """Managers may be used from several event loops, one after the other and at the same time."""
    tree = PrivateTree()
    client = Client(tree)
    failures = []

    def use():
        try:
            asyncio.run(client.succeed())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert asyncio.run(client.successes()) == 4
    asyncio.run(client.close())


def test_without_an_event_loop_the_error_says_what_to_do():
    """Driving a manager's coroutine by hand is answered in words."""
    client = Client(PrivateTree())
    with pytest.raises(TreeUnavailableError, match=r"no running asyncio event loop.*asyncio.run") as raised:
        client.successes().send(None)
    assert raised.value.error_code == "NO_EVENT_LOOP"


async def test_a_correlation_id_reaches_the_actor_and_ends_with_the_message():
    """The id in force at the caller is in force in the actor's thread, for this message only."""
    tree = PrivateTree()
    async with Client(tree) as client:
        await client.succeed()
        seen = []
        actor = ledger(tree)
        usual = actor.handle
        actor.handle = lambda message: (seen.append(correlation_id()), usual(message))[1]
        with correlation("order-7"):
            await client.successes()
        await client.successes()
        assert seen == ["order-7", None]


def test_a_correlation_id_must_be_a_text():
    """An empty or overlong id is refused."""
    for given in ("", "x" * 201, 7):
        with pytest.raises(ValueError, match="text of 1 to 200 characters"), correlation(given):
            pass
