"""Timers of actors: they come once or again and again, and end with the incarnation that set them."""

import re
import threading

import pytest

from supervisors import ChildSpec, MailboxPolicy, RestartPolicy, Supervisor, SupervisorSpec, Timeout
from supervisors.events import DeadLetter
from supervisors.testing import DEADLINE, Do, await_true, down_of


def crash(_actor):
    raise ZeroDivisionError


def test_a_message_can_be_sent_later(stage, make):
    """Messages come to the handler, signals to ``on_signal``; one that is cancelled does not come."""
    actor, came = make(), threading.Event()
    ref = stage.enter(actor)

    def set_timers(actor):
        cancelled = actor.send_after(0.01, Timeout("cancelled"))
        cancelled.cancel()
        cancelled.cancel()
        actor.send_after(0.02, Timeout("due"))
        return actor.send_after(0.03, Do(lambda _: came.set()))

    timer = ref.ask(Do(set_timers), timeout=DEADLINE)
    assert came.wait(DEADLINE)
    assert actor.signals == [Timeout("due")]
    await_true(lambda: not timer.active, "it is over")
    assert actor.own_timers == set()


def test_a_message_can_be_sent_again_and_again_until_it_is_cancelled(stage, make):
    """At first after a time of its own, if wanted."""
    ref, ticks, enough = stage.enter(make()), [], threading.Event()

    def tick(actor):
        ticks.append(1)
        if len(ticks) == 5:
            timer.cancel()
            enough.set()

    timer = ref.ask(Do(lambda actor: actor.send_every(0.002, Do(tick), first=0)), timeout=DEADLINE)
    assert enough.wait(DEADLINE)
    assert not timer.active
    ref.ask(Do(lambda actor: actor.send_after(0.02, Do(tick))), timeout=DEADLINE)
    await_true(lambda: len(ticks) == 6, "a timer that is set after it comes, and none of the cancelled in between")


def test_ticks_do_not_pile_up_behind_a_handler_that_takes_long(stage, make):
    """Of all that were due meanwhile one waits."""
    actor, gate, ticks = make(), threading.Event(), []
    ref = stage.enter(actor)
    dues = []
    ref.ask(Do(lambda actor: actor.send_every(0.001, Do(lambda _: ticks.append(1)))), timeout=DEADLINE)
    await_true(lambda: ticks, "it ticks")
    ref.tell(Do(lambda actor: ticks.clear() or gate.wait(DEADLINE)))
    actor.runtime.timer.after(0.05, lambda: dues.append(1))
    await_true(lambda: dues, "some fifty would have been due")
    waiting = actor.mailbox.qsize()
    gate.set()
    assert waiting <= 2
    await_true(lambda: len(ticks) >= 3, "it goes on ticking")


@pytest.mark.parametrize("keep", [False, True])
def test_a_timer_ends_with_its_incarnation(runtime, make, log, keep):
    """Neither what is yet to fire nor what has fired and waits comes to the successor, also where mail is kept."""
    policy = MailboxPolicy(keep=keep)
    spec = SupervisorSpec((ChildSpec("a", make, mailbox=policy),), restarts=RestartPolicy.otp(100))
    runtime.start(Supervisor(spec))
    ref, late, gate, inside = runtime.ref("rt/a"), [], threading.Event(), threading.Event()

    def set_and_wait(actor):
        actor.send_after(0, Do(lambda _: late.append("fired and waiting")))
        actor.send_after(0.05, Do(lambda _: late.append("yet to fire")))
        actor.send_every(0.001, Do(lambda _: late.append("again and again")))
        inside.set()
        gate.wait(DEADLINE)
        crash(actor)

    actor = ref.actor
    ref.tell(Do(set_and_wait))
    assert inside.wait(DEADLINE)
    await_true(lambda: len(actor.own_timers) < 3 and actor.mailbox.has_messages(), "one has fired and waits")
    gate.set()
    down_of(actor).get(timeout=DEADLINE)
    await_true(lambda: ref.incarnation not in (None, actor.incarnation), "its successor is there")
    assert actor.own_timers == set()
    heard = ref.ask(Do(lambda successor: successor.send_after(0.06, Timeout("after all of them"))), timeout=DEADLINE)
    await_true(lambda: not heard.active and ref.actor.signals, "the time of all of them has passed")
    assert late == []
    assert log.of(DeadLetter) == []


def test_a_timer_set_by_an_actor_that_has_ended_never_fires(stage, make):
    """By a thread of it that lives on, for example."""
    actor = make()
    stage.enter(actor)
    actor.request_stop()
    down_of(actor).get(timeout=DEADLINE)
    assert not actor.send_after(0, "x").active
    assert not actor.send_every(1, "x").active
    assert actor.own_timers == set()


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "1", True, None])
def test_times_that_are_none_are_refused(stage, make, seconds):
    """When the timer is set."""
    actor = make()
    stage.enter(actor)
    complaint = re.escape(f"must be a finite number of seconds of at least 0, got {seconds!r}")
    with pytest.raises(ValueError, match=complaint):
        actor.send_after(seconds, "x")
    with pytest.raises(ValueError, match=r"period must be a finite number of seconds of at least 0\.001, got 0"):
        actor.send_every(0, "x", first=1)
