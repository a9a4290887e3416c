"""Mail that outlives an incarnation: the next one gets what waited, in its order, without the fatal message."""

import threading
import time

import pytest

from policies.backoff import Backoff
from supervisors import (
    ChildSpec,
    ExitKind,
    ExitReason,
    Intensity,
    MailboxFullError,
    MailboxPolicy,
    NotHandledError,
    OnFull,
    RestartPolicy,
    RestartType,
    Strategy,
    Supervisor,
    SupervisorSpec,
    Timeout,
    delete_child,
    restart_child,
    terminate_child,
)
from supervisors.events import DeadLetter, Started
from supervisors.spec import Ladder
from supervisors.testing import DEADLINE, Do, await_children, await_true, down_of
from tests.supervisors.test_mailbox import hectic

__all__ = ["hectic"]  # the fixture

KEEP = MailboxPolicy(keep=True)


def crash(_actor):
    raise ZeroDivisionError("poison")


def delayed(seconds):
    """A restart policy under which every restart waits."""
    backoff = Backoff(base_delay=seconds, multiplier=1, max_delay=seconds, kind="none")
    return RestartPolicy(intensity=Intensity(1000, 5), backoff=backoff, immediate=0, max_streak=None)


@pytest.fixture
def place(runtime, make):
    """Starts a supervisor with one child ``a`` that keeps its mail, and returns the reference to it."""

    def build(policy=KEEP, restarts=None, siblings=(), strategy=Strategy.ONE_FOR_ONE, **fields):
        spec = ChildSpec("a", make, mailbox=policy, **fields)
        restarts = restarts or RestartPolicy.otp(1000)
        runtime.start(Supervisor(SupervisorSpec((*siblings, spec), strategy=strategy, restarts=restarts)))
        return runtime.ref("rt/a")

    return build


class Held:
    """Holds an actor up in a message until it is opened; notes what is handled after it."""

    def __init__(self, ref):
        self.ref, self.handled = ref, []
        self.gate, self.inside = threading.Event(), threading.Event()

    def hold(self, then=lambda _: None):
        """Returns the future of the message that holds it up and does ``then`` in the end."""

        def wait(actor):
            self.inside.set()
            assert self.gate.wait(DEADLINE)
            return then(actor)

        future = self.ref.request(Do(wait))
        assert self.inside.wait(DEADLINE)
        return future

    def note(self, number):
        return Do(lambda actor: self.handled.append((number, actor.incarnation)) or number)


def test_what_waited_at_a_crash_goes_to_the_next_incarnation_in_its_order(place, log):
    """Tells and asks; the message in hand does not, and its asker has its error."""
    ref = place()
    held, first = Held(ref), ref.incarnation
    poison = held.hold(crash)
    replies = []
    for number in range(20):
        if number % 2:
            replies.append(ref.request(held.note(number)))
        else:
            ref.tell(held.note(number))
    ref.actor.signal(Timeout("for this incarnation only"))
    held.gate.set()
    with pytest.raises(ZeroDivisionError):
        poison.get(timeout=DEADLINE)
    assert [reply.get(timeout=DEADLINE) for reply in replies] == list(range(1, 20, 2))
    assert [number for number, _ in held.handled] == list(range(20))
    assert {incarnation for _, incarnation in held.handled} == {ref.incarnation} != {first}
    assert (ref.actor.signals, ref.incarnation) == ([], first + 1)
    assert log.of(DeadLetter) == []


def test_a_poison_message_that_was_told_is_not_handled_again(place, log):
    """Each crash costs the one message that caused it."""
    ref = place()
    held = Held(ref)
    held.hold(crash)
    for number in range(6):
        ref.tell(Do(crash) if number % 2 else held.note(number))
    held.gate.set()
    log.await_event(Started, "rt/a", count=5)
    assert ref.ask(held.note("last"), timeout=DEADLINE) == "last"
    assert [number for number, _ in held.handled] == [0, 2, 4, "last"]


def test_what_comes_while_nobody_lives_there_is_parked(place, log):
    """Behind what waited, in its order, up to the limit; then asks fail and tells are dead letters."""
    policy = MailboxPolicy(keep=True, park=3)
    ref = place(policy, delayed(0.05))
    held = Held(ref)
    held.hold(crash)
    actor = ref.actor
    for number in range(5):
        ref.tell(held.note(number))
    held.gate.set()
    down_of(actor).get(timeout=DEADLINE)
    await_true(lambda: ref.actor is None, "its supervisor has heard of it")
    replies = [ref.request(held.note(number)) for number in range(5, 10)]
    ref.tell("one more")
    assert [reply.get(timeout=DEADLINE) for reply in replies[:3]] == [5, 6, 7]
    for reply in replies[3:]:
        with pytest.raises(MailboxFullError):
            reply.get(timeout=DEADLINE)
    assert [(letter.message_type, letter.why) for letter in log.of(DeadLetter)] == [("str", "full")]
    assert [number for number, _ in held.handled] == list(range(8))


def test_parked_mail_may_make_room_for_newer(place, log):
    """With ``DROP_OLDEST`` the newest are kept."""
    policy = MailboxPolicy(keep=True, park=2, on_full=OnFull.DROP_OLDEST)
    ref = place(policy, delayed(0.05))
    actor = ref.actor
    ref.tell(Do(crash))
    down_of(actor).get(timeout=DEADLINE)
    await_true(lambda: ref.actor is None, "its supervisor has heard of it")
    replies = [ref.request(number) for number in range(4)]
    for reply in replies[:2]:
        with pytest.raises(MailboxFullError, match="made room"):
            reply.get(timeout=DEADLINE)
    assert [reply.get(timeout=DEADLINE) for reply in replies[2:]] == [2, 3]


def test_a_bound_does_not_lose_what_was_kept(place):
    """The next mailbox takes all of it, also what was parked beyond its bound."""
    ref = place(MailboxPolicy(limit=4, keep=True))
    held = Held(ref)
    held.hold(crash)
    replies = [ref.request(held.note(number)) for number in range(4)]
    held.gate.set()
    assert [reply.get(timeout=DEADLINE) for reply in replies] == [0, 1, 2, 3]


def test_mail_of_a_child_that_is_terminated_is_given_up(place, runtime, log):
    """Asks are answered and tells counted, also those that come later; started again by hand it gets new mail only."""
    ref = place(ladder=Ladder(stop=DEADLINE))
    held = Held(ref)
    held.hold()
    ask = ref.request("waits")
    ref.tell("waits too")
    actor = ref.actor
    done = terminate_child(runtime.ref("rt"), "a")
    await_true(lambda: actor.mailbox._signals, "it is told to stop")
    held.gate.set()
    done.get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        ask.get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        ref.ask("late", timeout=DEADLINE)
    ref.tell("late too")
    assert runtime.dead_letters["rt/a"] == 2
    restart_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    assert ref.ask("x", timeout=DEADLINE) == "x"
    assert runtime.dead_letters["rt/a"] == 2


def test_mail_of_a_child_terminated_while_it_waits_for_its_restart_is_given_up(place, runtime):
    """There is no end of an incarnation then from which one could learn it."""
    ref = place(restarts=delayed(60))
    actor = ref.actor
    ref.tell(Do(crash))
    down_of(actor).get(timeout=DEADLINE)
    await_children(runtime.ref("rt"), "a=restarting")
    parked = ref.request("x")
    assert not parked.done()
    terminate_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        parked.get(timeout=DEADLINE)
    delete_child(runtime.ref("rt"), "a").get(timeout=DEADLINE)


@pytest.mark.parametrize("restart", [RestartType.TRANSIENT, RestartType.TEMPORARY])
def test_mail_of_a_child_that_ended_for_good_is_given_up(place, restart):
    """It ended normally and nobody starts it again."""
    from supervisors import end_actor

    ref = place(restart=restart)
    held = Held(ref)
    held.hold(lambda _: end_actor())
    ask = ref.request("waits")
    held.gate.set()
    with pytest.raises(NotHandledError):
        ask.get(timeout=DEADLINE)


def test_mail_is_given_up_when_the_supervisor_gives_up(place, runtime):
    """Asks that wait for an incarnation which will never come are answered."""
    ref = place(restarts=RestartPolicy.otp(1))
    held = Held(ref)
    held.hold(crash)
    fatal = ref.request(Do(crash))
    ask = ref.request("waits")
    held.gate.set()
    with pytest.raises(ZeroDivisionError):
        fatal.get(timeout=DEADLINE)
    with pytest.raises(NotHandledError):
        ask.get(timeout=DEADLINE)
    runtime.ended.get(timeout=DEADLINE)
    assert ref.request("late").done()


def test_mail_parked_while_the_tree_stops_is_given_up(place, runtime):
    """Nobody waits for his timeout at the end of a program."""
    ref = place(restarts=delayed(60))
    actor = ref.actor
    ref.tell(Do(crash))
    down_of(actor).get(timeout=DEADLINE)
    await_children(runtime.ref("rt"), "a=restarting")
    parked = ref.request("x")
    assert runtime.stop(DEADLINE)
    with pytest.raises(NotHandledError):
        parked.get(timeout=DEADLINE)


def test_mail_outlives_the_crash_of_a_sibling(place, make, runtime):
    """In a group that restarts together nobody's mail is lost."""
    ref = place(siblings=(ChildSpec("s", make),), strategy=Strategy.ONE_FOR_ALL, ladder=Ladder(stop=DEADLINE))
    held, before, actor = Held(ref), ref.incarnation, ref.actor
    held.hold()
    replies = [ref.request(held.note(number)) for number in range(3)]
    runtime.ref("rt/s").tell(Do(crash))
    await_true(lambda: actor.mailbox._signals, "it is told to stop")
    held.gate.set()
    assert [reply.get(timeout=DEADLINE) for reply in replies] == [0, 1, 2]
    assert before not in {incarnation for _, incarnation in held.handled}


def test_mail_outlives_starts_that_are_refused(runtime, make, log):
    """It waits until somebody is ready to read it."""
    refusals = [0, 1, 1, 1]

    def start(_actor):
        if refusals and refusals.pop(0):
            raise ValueError("not yet")

    spec = ChildSpec("a", lambda: make(start=start), mailbox=KEEP)
    runtime.start(Supervisor(SupervisorSpec((spec,), restarts=RestartPolicy.otp(100))))
    ref = runtime.ref("rt/a")
    held = Held(ref)
    held.hold(crash)
    reply = ref.request("x")
    held.gate.set()
    assert reply.get(timeout=DEADLINE) == "x"
    assert refusals == []


def test_a_request_to_stop_is_for_the_incarnation_that_it_was_sent_to(place):
    """That one has ended, so it is answered; its successor is not stopped by it."""
    ref = place()
    held, first = Held(ref), ref.actor
    held.hold(crash)
    stop = first.actor_ref.stop(block=False)
    reply = ref.request(held.note("x"))
    held.gate.set()
    assert reply.get(timeout=DEADLINE) == "x"
    assert stop.get(timeout=DEADLINE) is True
    assert ref.ask("still there", timeout=DEADLINE) == "still there"
    assert ref.incarnation == first.incarnation + 1


def test_a_supervisor_may_have_a_bounded_mailbox_that_is_kept(runtime, make):
    """What it tells itself finds room, and is not taken for news of its successor's children."""
    refusals = [0, 1, 1, 0, 0, 0]

    def start():
        if refusals and refusals.pop(0):
            raise ValueError("refused")
        return make()

    inner = SupervisorSpec((ChildSpec("a", start),), restarts=RestartPolicy.otp(100))
    spec = ChildSpec("s", lambda: Supervisor(inner), mailbox=MailboxPolicy(limit=1, keep=True))
    runtime.start(Supervisor(SupervisorSpec((spec,), restarts=RestartPolicy.otp(100))))
    ref, supervisor = runtime.ref("rt/s/a"), runtime.ref("rt/s")
    before = ref.incarnation
    ref.tell(Do(crash))
    await_true(lambda: ref.incarnation not in (None, before), "it is restarted in spite of the refusals")
    before = supervisor.incarnation
    supervisor.actor.inject(ExitReason(ExitKind.KILLED))
    await_true(lambda: supervisor.incarnation not in (None, before) and ref.is_up(), "a new tree is there")
    assert ref.ask("x", timeout=DEADLINE) == "x"


def test_a_zombie_takes_no_message_of_its_successor(place, log):
    """An actor that comes back after it was abandoned finds its mailbox empty; each message is handled once."""
    ref = place(ladder=Ladder(stop=0.01, cancel=0, release=0, exception=0))
    held, zombie = Held(ref), ref.actor
    held.hold()
    replies = [ref.request(held.note(number)) for number in range(10)]
    zombie.runtime.kill(zombie, Ladder(stop=0.01, cancel=0, release=0, exception=0), ExitReason(ExitKind.KILLED))
    if zombie.cancels:  # its loop is blocked, and another is made for the next one
        await_true(lambda: ref.incarnation not in (None, zombie.incarnation), "its successor is there")
    assert [reply.get(timeout=DEADLINE) for reply in replies] == list(range(10))
    held.gate.set()
    await_true(lambda: not zombie.runtime.zombies(), "the zombie has come back and ended")
    assert ref.ask(held.note("last"), timeout=DEADLINE) == "last"
    assert [number for number, _ in held.handled] == [*range(10), "last"]
    assert zombie.incarnation not in {incarnation for _, incarnation in held.handled}


def test_what_was_put_aside_is_kept_before_what_waits(place):
    """Stashed messages are the older ones."""
    ref = place()
    held = Held(ref)
    first = ref.incarnation

    def put_aside(number):
        return ref.request(Do(lambda actor: actor.stash() if actor.incarnation == first else number))

    early = [put_aside(number) for number in range(2)]
    held.hold(crash)
    waits = ref.request(held.note("waits"))
    held.gate.set()
    assert [reply.get(timeout=DEADLINE) for reply in (*early, waits)] == [0, 1, "waits"]


@pytest.mark.usefixtures("hectic")
def test_under_crashes_every_message_is_handled_once_and_in_the_order_of_its_sender(place, runtime, log):
    """Three threads tell and ask while the actor crashes twenty times: nothing is lost, doubled or overtaken."""
    ref = place(MailboxPolicy(keep=True, park=100_000))
    handled, futures = [], []

    def send(sender):
        for number in range(200):
            message = Do(lambda _, s=sender, n=number: handled.append((s, n)))
            if number % 3:
                ref.tell(message)
            else:
                futures.append(ref.request(message))
            if number % 30 == sender:
                ref.tell(Do(crash))
            if number % 20 == 0:
                time.sleep(0)

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(DEADLINE)
    await_true(lambda: len(handled) >= 600, "all are handled")
    for future in futures:
        future.get(timeout=DEADLINE)
    for sender in range(3):
        assert [number for who, number in handled if who == sender] == list(range(200))
    assert runtime.dead_letters == {}
    assert len(log.of(Started, "rt/a")) > 1
