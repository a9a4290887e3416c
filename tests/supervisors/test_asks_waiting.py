"""Asks that wait for somebody to live there, and stashes that wait for the actor to be ready for them."""

import threading

import pykka
import pytest

from supervisors import (
    ChildSpec,
    MailboxFullError,
    NotHandledError,
    RestartPolicy,
    Supervisor,
    SupervisorSpec,
    restart_child,
    start_child,
    terminate_child,
)
from supervisors.signals import Stop
from supervisors.spec import Ladder
from supervisors.testing import DEADLINE, Do, Probe, await_true, down_of


def crash(_actor):
    raise ZeroDivisionError


@pytest.fixture
def ref(runtime, make):
    """A permanent child that may crash as often as it likes."""
    spec = SupervisorSpec((ChildSpec("a", make),), restarts=RestartPolicy.otp(1000))
    runtime.start(Supervisor(spec))
    return runtime.ref("rt/a")


def test_an_ask_can_wait_for_the_next_incarnation(ref, runtime):
    """It is sent when somebody lives there again."""
    terminate_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    waiting = ref.request("x", wait=DEADLINE)
    assert not waiting.done()
    restart_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    assert waiting.get(timeout=DEADLINE) == "x"
    assert ref.ask("at once", timeout=DEADLINE, wait=True) == "at once"


def test_an_ask_can_wait_for_the_first_incarnation(ref, runtime, make):
    """A place may be asked before anybody ever lived there; many may wait."""
    later = runtime.ref("rt/later")
    waiting = [later.request(number, wait=DEADLINE) for number in range(5)]
    start_child(runtime.ref("rt"), ChildSpec("later", make)).get(timeout=DEADLINE)
    assert [future.get(timeout=DEADLINE) for future in waiting] == list(range(5))


def test_an_ask_that_waits_in_vain_says_so(ref, runtime):
    """Its future is answered in its time, also for those who only await it."""
    terminate_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    waiting = ref.request("x", wait=0.02)
    with pytest.raises(NotHandledError, match=r"nobody at rt/a took it up within 0\.02 s"):
        waiting.get(timeout=DEADLINE)
    with pytest.raises((NotHandledError, pykka.Timeout)):
        ref.ask("x", timeout=0.02, wait=True)
    restart_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    assert ref.ask("x", timeout=DEADLINE) == "x"


def test_an_ask_that_was_not_taken_up_is_sent_to_the_next_incarnation(ref):
    """The crash of the message before it does not cost it its answer; its own crash does, and it is not sent again."""
    gate, seen = threading.Event(), []
    ref.tell(Do(lambda _: gate.wait(DEADLINE) and crash(None)))
    waiting = ref.request("x", wait=DEADLINE)
    fatal = ref.request(Do(lambda actor: seen.append(actor.incarnation) or crash(actor)), wait=DEADLINE)
    refused = ref.request("y")
    gate.set()
    assert waiting.get(timeout=DEADLINE) == "x"
    with pytest.raises(ZeroDivisionError):
        fatal.get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        refused.get(timeout=DEADLINE)
    assert len(seen) == 1


def test_an_ask_in_hand_is_not_cut_short_by_its_wait(ref):
    """The wait is for being taken up; what takes long then is waited for."""
    gate = threading.Event()
    slow = ref.request(Do(lambda _: gate.wait(DEADLINE) and "slow"), wait=0.02)
    overdue = ref.runtime.ref("rt/nobody").request("x", wait=0.03)
    with pytest.raises(NotHandledError):
        overdue.get(timeout=DEADLINE)
    assert not slow.done()
    gate.set()
    assert slow.get(timeout=DEADLINE) == "slow"


def test_an_ask_does_not_wait_for_a_runtime_that_has_ended(ref, runtime):
    """Neither one that waits when it ends, nor one that comes later: there is nobody who could still answer."""
    waiting = runtime.ref("rt/nobody").request("x", wait=3600)
    assert runtime.stop(DEADLINE)
    late = ref.request("x", wait=3600)
    for future in (waiting, late):
        with pytest.raises(NotHandledError):
            future.get(timeout=DEADLINE)
    assert runtime.errands == set()


def test_an_abandoned_actor_cannot_make_others_wait(ref, stage, runtime, make):
    """What it asks is not sent, whenever somebody comes."""
    results, gate = [], threading.Event()

    def late(_):
        gate.wait(DEADLINE)
        results.append(ref.request("x", wait=DEADLINE))

    actor = make()
    stage.enter(actor, "zombie").tell(Do(late))
    await_true(lambda: actor._in_hand, "it has the message in hand")
    runtime.kill(actor, Ladder(stop=0.01, cancel=0, release=0, exception=0), Stop().reason)
    down_of(actor).get(timeout=DEADLINE)
    gate.set()
    await_true(lambda: results, "it has asked")
    with pytest.raises(NotHandledError, match="was abandoned"):
        results[0].get(timeout=DEADLINE)
    assert runtime.late_messages == {"rt/zombie": 1}


def test_answers_before_the_message_was_taken_up_tell_so(stage, make):
    """``NotHandledError`` for what waited, another ``ActorDeadError`` for what the actor died of."""
    actor, gate = make(), threading.Event()
    ref = stage.enter(actor)
    in_hand = ref.request(Do(lambda _: gate.wait(DEADLINE) and (_ for _ in ()).throw(SystemExit)))
    waits = ref.request("x")
    gate.set()
    with pytest.raises(pykka.ActorDeadError) as raised:
        in_hand.get(timeout=DEADLINE)
    assert not isinstance(raised.value, NotHandledError)
    with pytest.raises(NotHandledError):
        waits.get(timeout=DEADLINE)


# ------------------------------------------------------------------------------------------------------ stashes


def test_messages_put_aside_come_back_first_and_in_their_order(stage, make):
    """Tells and asks; they are not answered before."""
    ref, handled = stage.enter(make()), []

    def unless_open(number):
        def handler(actor):
            if not handled:
                return actor.stash()
            handled.append(number)
            return number

        return Do(handler)

    asks = [ref.request(unless_open(number)) for number in range(3)]
    ref.tell(unless_open("tell"))
    assert ref.ask(Do(lambda actor: actor.stashed), timeout=DEADLINE) == 4
    assert not any(ask.done() for ask in asks)
    gate = threading.Event()

    def open_up(actor):
        assert gate.wait(DEADLINE)
        handled.append("open")
        actor.unstash_all()

    ref.tell(Do(open_up))
    last = ref.request(unless_open("last"))
    gate.set()
    assert [ask.get(timeout=DEADLINE) for ask in (*asks, last)] == [0, 1, 2, "last"]
    assert handled == ["open", 0, 1, 2, "tell", "last"]
    assert ref.actor.stashed == 0


def test_a_handler_that_forgets_to_return_does_not_answer_what_it_put_aside(stage, make):
    """The answer comes when the message was handled."""
    ref = stage.enter(make())
    put_aside = []

    def once(actor):
        if not put_aside:
            put_aside.append(actor.stash())
            return "too early"
        return "in time"

    ask = ref.request(Do(once))
    ref.ask(Do(lambda actor: actor.unstash_all()), timeout=DEADLINE)
    assert ask.get(timeout=DEADLINE) == "in time"


def test_what_is_put_aside_at_the_end_is_answered_or_counted(stage, make, runtime):
    """As everything else that was not handled."""
    ref = stage.enter(make())
    ask = ref.request(Do(lambda actor: actor.stash()))
    ref.tell(Do(lambda actor: actor.stash()))
    ref.tell(Do(crash))
    with pytest.raises(NotHandledError):
        ask.get(timeout=DEADLINE)
    await_true(lambda: runtime.dead_letters["rt/a"] == 1, "the tell is counted")


def test_a_message_is_put_aside_once(stage, make):
    """Twice would be handled twice. The handler hears of it; who has asked is told that it was not handled."""
    actor = make()
    ask = stage.enter(actor).request(Do(lambda actor: (actor.stash(), actor.stash())))
    with pytest.raises(NotHandledError):
        ask.get(timeout=DEADLINE)
    assert "has done so before" in down_of(actor).get(timeout=DEADLINE).reason.error_text


def test_a_stash_has_a_limit(stage, make):
    """The handler hears of it; outside of a handler there is nothing to put aside."""
    actor = make()
    actor.stash_limit = 2
    ref = stage.enter(actor)
    asks = [ref.request(Do(lambda actor: actor.stash())) for _ in range(3)]
    with pytest.raises(MailboxFullError, match="rt/a has put 2 messages aside"):
        asks[2].get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        asks[0].get(timeout=DEADLINE)
    with pytest.raises(RuntimeError, match="has no message in hand"):
        Probe().stash()
