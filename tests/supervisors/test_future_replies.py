"""Replies: the first answer counts, threads and event loops can wait for them."""

import asyncio
import threading
from types import SimpleNamespace

import pykka
import pytest
from loguru import logger

from supervisors import ReplyFuture
from supervisors.testing import DEADLINE, Do, Probe, down_of


def test_the_first_answer_counts():
    """Later answers, also errors, are dropped and say so."""
    future = ReplyFuture()
    assert not future.done()
    assert future.offer(1)
    assert not future.offer(2)
    assert not future.offer(error=ValueError("late"))
    assert future.done()
    assert future.get(timeout=0) == 1


def test_of_many_threads_that_answer_one_wins():
    """Exactly one of them is told that its answer counted, and that is the one that is read."""
    for _ in range(100):
        future, won, begin = ReplyFuture(), [], threading.Barrier(4)

        def answer(number, future=future, won=won, begin=begin):
            begin.wait()
            if future.offer(number):
                won.append(number)

        threads = [threading.Thread(target=answer, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert won == [future.get(timeout=0)]


def test_callbacks_run_once_in_the_answering_thread_or_at_once_if_it_is_answered():
    """Each callback gets the future."""
    future, heard = ReplyFuture(), []
    future.add_done_callback(lambda f: heard.append((f, threading.current_thread().name)))
    answerer = threading.Thread(target=future.offer, args=("x",), name="answerer")
    answerer.start()
    answerer.join(DEADLINE)
    future.add_done_callback(lambda f: heard.append((f, threading.current_thread().name)))
    future.offer("y")
    assert heard == [(future, "answerer"), (future, threading.current_thread().name)]


def test_a_callback_that_raises_harms_neither_the_answerer_nor_the_others():
    """The actor that answers lives on, and the callbacks after it are called."""
    future, heard = ReplyFuture(), []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(heard.append)
    assert future.offer("x")
    assert heard == [future]
    future.add_done_callback(lambda _: 1 / 0)


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
def test_a_callback_that_leaves_harms_neither_the_answerer_nor_the_others(error):
    """It is the client's, and the answerer is a supervisor, say."""
    called, future = [], ReplyFuture()

    def leave(_):
        raise error

    future.add_done_callback(leave)
    future.add_done_callback(called.append)
    assert future.offer("x")
    assert called == [future]


def test_a_reply_that_comes_while_somebody_prepares_to_wait_is_not_waited_for(monkeypatch):
    """The one who answers has seen nobody wait, so nobody would be woken."""
    future = ReplyFuture()

    def answered_meanwhile():
        future.offer("x")
        return threading.Lock()

    calls = SimpleNamespace(allocate_lock=answered_meanwhile, get_ident=threading.get_ident)
    monkeypatch.setattr("supervisors.future._thread", calls)
    assert future.get(timeout=DEADLINE) == "x"


def test_many_threads_that_wait_for_one_reply_all_get_it():
    """Those who wait before it comes, those who come with it, and those who come later."""
    for _ in range(50):
        future, got = ReplyFuture(), []
        waiters = [threading.Thread(target=lambda f=future, g=got: g.append(f.get(timeout=DEADLINE))) for _ in range(8)]
        for waiter in waiters[:4]:
            waiter.start()
        answerer = threading.Thread(target=future.offer, args=("x",))
        answerer.start()
        for waiter in waiters[4:]:
            waiter.start()
        for thread in (answerer, *waiters):
            thread.join(DEADLINE)
        assert got == ["x"] * 8


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_a_wait_that_is_too_short_is_a_timeout_in_any_thread(timeout):
    """In the main thread and in others; one that has run out leaves the reply to the others."""
    future, raised = ReplyFuture(), []

    def wait():
        try:
            future.get(timeout=timeout)
        except pykka.Timeout as error:
            raised.append(str(error))

    other = threading.Thread(target=wait)
    other.start()
    other.join(DEADLINE)
    wait()
    assert raised == [f"{timeout} seconds"] * 2
    future.offer("x")
    assert future.get(timeout=0) == "x"


def test_a_wait_may_be_longer_than_any_clock():
    """Infinity and numbers beyond what a lock can wait for are no error."""
    for timeout in (float("inf"), 1e300, None):
        future, got = ReplyFuture(), []
        waiter = threading.Thread(target=lambda f=future, t=timeout, g=got: g.append(f.get(timeout=t)))
        waiter.start()
        future.offer("x")
        waiter.join(DEADLINE)
        assert got == ["x"]


def test_callbacks_added_while_it_is_answered_run_exactly_once():
    """Four threads add callbacks while a fifth answers: each is called once."""
    for _ in range(50):
        future, heard, begin = ReplyFuture(), [], threading.Barrier(5)

        def add(future=future, heard=heard, begin=begin):
            begin.wait()
            for _ in range(20):
                future.add_done_callback(heard.append)

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        begin.wait()
        future.offer("x")
        for thread in threads:
            thread.join(DEADLINE)
        assert heard == [future] * 80


async def test_awaiting_does_not_block_the_loop():
    """The answer may come from another task of the same loop."""
    future = ReplyFuture()
    asyncio.get_running_loop().call_soon(future.offer, "x")
    async with asyncio.timeout(DEADLINE):
        assert await future == "x"
        assert await future == "x"


async def test_many_can_await_one_reply_that_a_thread_gives():
    """All get the value."""
    future = ReplyFuture()
    waiters = [asyncio.ensure_future(future) for _ in range(50)]
    await asyncio.sleep(0)
    threading.Thread(target=future.offer, args=("x",)).start()
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.gather(*waiters) == ["x"] * 50


@pytest.mark.parametrize("error", [ValueError("bad"), pykka.ActorDeadError("gone"), KeyError("k")])
async def test_awaiting_raises_what_was_answered(error):
    """The error of the handler comes out of the await."""
    future = ReplyFuture()
    future.offer(error=error)
    with pytest.raises(type(error)) as raised:
        await future
    assert raised.value is error


async def test_a_stop_iteration_from_a_handler_reaches_who_awaits():
    """asyncio refuses StopIteration as an error; it comes wrapped and does not leave the awaiting task hanging."""
    future = ReplyFuture()
    future.offer(error=StopIteration("exhausted"))
    with pytest.raises(RuntimeError, match="exhausted") as raised:
        await asyncio.wait_for(future.as_asyncio(), DEADLINE)
    assert isinstance(raised.value.__cause__, StopIteration)


async def test_giving_up_on_an_await_leaves_the_reply_to_others():
    """A cancelled wait neither cancels the reply nor disturbs who answers."""
    future = ReplyFuture()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future.as_asyncio(), 0.01)
    assert future.offer("x")
    assert await future == "x"


def test_an_answer_after_the_waiting_loop_has_ended_harms_nobody():
    """The answerer does not see the closed loop, and it is nothing to log."""
    future, logged = ReplyFuture(), []
    sink = logger.add(logged.append)
    logger.enable("supervisors")

    async def wait_a_little():
        future.as_asyncio()

    asyncio.run(wait_a_little())
    assert future.offer("x")
    logger.disable("supervisors")
    logger.remove(sink)
    assert logged == []


async def test_futures_that_pykka_derives_can_be_awaited(stage):
    """``map`` and ``stop(block=False)`` compute their value in ``get``: awaiting runs that beside the loop."""
    actor = Probe()
    ref = stage.enter(actor)
    async with asyncio.timeout(DEADLINE):
        assert await ref.request(20).map(lambda number: number + 1) == 21
        assert await actor.actor_ref.stop(block=False) is True
    assert down_of(actor).get(timeout=DEADLINE)


async def test_a_crash_is_awaited_like_an_answer(stage, make):
    """An awaited ask ends with the exception of the handler."""
    ref = stage.enter(make())
    with pytest.raises(ZeroDivisionError):
        await ref.request(Do(lambda _: 1 / 0))
