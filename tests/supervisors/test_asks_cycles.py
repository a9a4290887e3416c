"""Actors that ask each other in a circle are told so at once; everybody else waits as before."""

import asyncio
import re
import threading

import pykka
import pytest

from supervisors import AskCycleError, ReplyFuture
from supervisors.testing import DEADLINE, AsyncProbe, Do, Probe, await_true, down_of
from tests.supervisors.conftest import make_loop
from tests.supervisors.test_mailbox import hectic

__all__ = ["hectic"]  # the fixture


def asking(ref, message, timeout=DEADLINE):
    """A message whose handler asks ``ref`` and blocks."""
    return Do(lambda _: ref.ask(message, timeout=timeout))


def awaiting(ref, message):
    """A message whose handler, a coroutine, asks ``ref`` and awaits the answer."""

    async def handler(_):
        return await ref.request(message)

    return Do(handler)


WAYS = {"thread": asking, "async": awaiting}


@pytest.fixture
def way(make):
    """How an actor of this kind waits for an answer."""
    return asking if make is Probe else awaiting


def test_an_actor_that_asks_itself_is_told_at_once(stage, make, way):
    """The error names it; the actor crashes over it as over any other."""
    ref = stage.enter(make())
    with pytest.raises(AskCycleError, match=r"AskCycle: rt/a -> rt/a: "):
        ref.ask(way(ref, "x"), timeout=DEADLINE)


def test_an_actor_may_catch_the_error_and_go_on(stage, make):
    """Nothing is left of the attempt."""
    ref = stage.enter(make())

    def careful(_):
        try:
            return ref.ask("x")
        except AskCycleError:
            return "caught"

    for _ in range(2):
        assert ref.ask(Do(careful), timeout=DEADLINE) == "caught"
    assert ref.actor.blocked_on is None
    assert ref.ask("next", timeout=DEADLINE) == "next"


@pytest.mark.parametrize("length", [2, 3, 5])
def test_a_circle_is_found_and_named(stage, make, way, length):
    """All of them are in the text, in the order of their waiting; nobody waits for a timeout."""
    refs = [stage.enter(make(), f"a{number}") for number in range(length)]
    message = "x"
    for target in (refs[0], *reversed(refs[1:])):
        message = way(target, message)
    with pytest.raises(AskCycleError) as raised:
        refs[0].ask(message, timeout=DEADLINE)
    named = re.findall(r"rt/a(\d)", str(raised.value))
    assert len(named) == length + 1
    assert [int(name) for name in named] == [(int(named[0]) + step) % length for step in range(length + 1)]


def test_a_circle_through_both_kinds_is_found(stage):
    """A thread that blocks, a coroutine that awaits."""
    thread, loop = stage.enter(Probe(), "thread"), stage.enter(AsyncProbe(make_loop()), "loop")
    with pytest.raises(AskCycleError, match=r"rt/thread -> rt/loop -> rt/thread|rt/loop -> rt/thread -> rt/loop"):
        thread.ask(asking(loop, awaiting(thread, "x")), timeout=DEADLINE)


def test_an_actor_that_blocks_its_loop_waits_for_nobody_on_it(stage):
    """All actors of the loop stand still with it, so none of them can answer."""
    loop = make_loop()
    first, second = stage.enter(AsyncProbe(loop), "first"), stage.enter(AsyncProbe(loop), "second")
    with pytest.raises(AskCycleError, match="rt/first -> rt/second"):
        first.ask(asking(second, "x"), timeout=DEADLINE)


def test_a_circle_through_a_blocked_loop_is_found(stage):
    """The thread asks an actor whose neighbour blocks their loop with an ask to the thread."""
    loop = make_loop()
    blocker, neighbour = stage.enter(AsyncProbe(loop), "blocker"), stage.enter(AsyncProbe(loop), "neighbour")
    thread, entered = stage.enter(Probe(), "thread"), threading.Event()

    def ask_neighbour(_):
        assert entered.wait(DEADLINE)
        return neighbour.ask("x", timeout=DEADLINE)

    def block(_):
        entered.set()
        return thread.ask("y", timeout=DEADLINE)

    outcomes = [thread.request(Do(ask_neighbour)), blocker.request(Do(block))]
    errors = []
    for outcome in outcomes:
        try:
            outcome.get(timeout=DEADLINE)
        except pykka.ActorDeadError as error:
            errors.append(error)
    assert any(isinstance(error, AskCycleError) for error in errors)


@pytest.mark.parametrize("hook", ["start", "stop"])
def test_a_hook_that_asks_its_own_actor_does_not_hang(stage, hook):
    """``on_start`` runs before the first message, ``on_stop`` after the last: nobody would answer."""
    raised = []

    def ask_myself(actor):
        try:
            actor.ref.ask("x", timeout=DEADLINE)
        except AskCycleError as error:
            raised.append(error)

    actor = Probe(**{hook: ask_myself})
    stage.enter(actor)
    actor.request_stop()
    down_of(actor).get(timeout=DEADLINE)
    assert len(raised) == 1


def test_a_future_that_is_waited_for_later_is_watched_as_well(stage):
    """``request`` first and ``get`` after it is the same as ``ask``."""
    ref = stage.enter(Probe())
    with pytest.raises(AskCycleError):
        ref.ask(Do(lambda _: ref.request("x").get(timeout=DEADLINE)), timeout=DEADLINE)


def test_requests_that_are_not_waited_for_are_no_circle(stage, make):
    """An actor may send itself a request and look at the answer when it is there."""
    ref, kept = stage.enter(make()), []
    ref.ask(Do(lambda _: kept.append(ref.request("later"))), timeout=DEADLINE)
    assert kept[0].get(timeout=DEADLINE) == "later"
    assert ref.ask(Do(lambda _: kept[0].get(timeout=0)), timeout=DEADLINE) == "later"


def test_a_task_of_an_async_actor_may_await_its_own_actor(stage):
    """It does not hold up the mailbox, so it is answered."""
    ref, answers = stage.enter(AsyncProbe(make_loop())), ReplyFuture()

    async def work():
        answers.offer(await ref.request("x"))

    ref.tell(Do(lambda actor: actor.spawn(work()) and None))
    assert answers.get(timeout=DEADLINE) == "x"


def test_a_thread_of_an_async_actor_may_ask_its_own_actor(stage):
    """The loop turns meanwhile."""
    ref, answers = stage.enter(AsyncProbe(make_loop())), ReplyFuture()

    async def work():
        answers.offer(await asyncio.to_thread(ref.ask, "x", DEADLINE))

    ref.tell(Do(lambda actor: actor.spawn(work()) and None))
    assert answers.get(timeout=DEADLINE) == "x"


def test_a_long_chain_without_a_circle_is_answered(stage, make, way):
    """Waiting in a row is no fault."""
    refs = [stage.enter(make(), f"a{number}") for number in range(6)]
    message = "x"
    for target in reversed(refs[1:]):
        message = way(target, message)
    assert refs[0].ask(message, timeout=DEADLINE) == "x"
    assert {ref.actor.blocked_on for ref in refs} == {None}


@pytest.mark.usefixtures("hectic")
@pytest.mark.parametrize("kinds", [("thread", "thread"), ("thread", "async"), ("async", "async")])
def test_of_two_actors_that_ask_each_other_at_the_same_time_at_least_one_sees_it(stage, kinds):
    """However the two race: both asks end, long before their timeouts, and one of them with the error."""
    makers = {"thread": Probe, "async": lambda: AsyncProbe(make_loop())}
    for number in range(40):
        refs = [stage.enter(makers[kind](), f"{kind}{number}{side}") for side, kind in enumerate(kinds)]
        outcomes = []
        for (kind, me), other in zip(zip(kinds, refs, strict=True), reversed(refs), strict=True):
            outcomes.append(me.request(WAYS[kind](other, "x")))
        errors = []
        for outcome in outcomes:
            try:
                errors.append(outcome.get(timeout=DEADLINE))
            except pykka.ActorDeadError as error:
                errors.append(error)
        assert errors == ["x", "x"] or any(isinstance(error, AskCycleError) for error in errors)


def test_circles_of_others_do_not_hold_up_the_look(stage):
    """A third who asks one of two that wait for each other gets their error or its timeout, and does not spin."""
    from supervisors.ask_cycles import check_wait

    a, b, c = (stage.enter(Probe(), name) for name in "abc")
    to_a, to_b = ReplyFuture(), ReplyFuture()
    to_a.target, to_b.target = a, b
    a.actor.blocked_on, b.actor.blocked_on = to_b, to_a
    asks_a = ReplyFuture()
    asks_a.target = a
    check_wait(c.actor, asks_a)
    a.actor.blocked_on = b.actor.blocked_on = None


def test_an_answered_wait_is_no_wait(stage):
    """Between its answer and its waking up an actor still shows what it waited for."""
    from supervisors.ask_cycles import check_wait

    a, b = (stage.enter(Probe(), name) for name in "ab")
    to_a, to_b = ReplyFuture(), ReplyFuture()
    to_a.target, to_b.target = a, b
    b.actor.blocked_on = to_a
    with pytest.raises(AskCycleError):
        check_wait(a.actor, to_b)
    to_a.offer("answered")
    check_wait(a.actor, to_b)
    b.actor.blocked_on = None


def test_a_blocked_actor_shows_what_it_waits_for_and_nothing_afterwards(stage):
    """Neither after the answer nor after a timeout."""
    gate, (slow, asker) = threading.Event(), (stage.enter(Probe(), name) for name in ("slow", "asker"))
    slow.tell(Do(lambda _: gate.wait(DEADLINE)))
    outcome, actor = asker.request(asking(slow, "x")), asker.actor
    waited = await_true(lambda: actor.blocked_on, "it waits")
    assert waited.target is slow
    gate.set()
    assert outcome.get(timeout=DEADLINE) == "x"
    assert asker.ask("idle", timeout=DEADLINE) == "idle"
    assert actor.blocked_on is None
    with pytest.raises(pykka.Timeout):
        asker.ask(asking(slow, Do(lambda _: down_of(actor).get(timeout=DEADLINE)), timeout=0.02), timeout=DEADLINE)
    down_of(actor).get(timeout=DEADLINE)
    assert actor.blocked_on is None
