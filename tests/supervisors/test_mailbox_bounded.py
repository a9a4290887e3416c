"""Bounded mailboxes: what finds no room is answered or counted, and signals always find room."""

import re
import threading

import attrs
import pytest
from pykka import messages
from pykka._envelope import Envelope

from supervisors import (
    ChildSpec,
    MailboxFullError,
    MailboxPolicy,
    OnFull,
    ReplyFuture,
    Signal,
    Supervisor,
    SupervisorSpec,
)
from supervisors.events import DeadLetter, MailboxHigh
from supervisors.mailboxes.bounded import BoundedLoopMailbox, BoundedMailbox, MessageLane
from supervisors.signals import Stop
from supervisors.testing import DEADLINE, Do, await_true, down_of
from tests.supervisors.test_mailbox import empty_out, fill, hectic

__all__ = ["hectic"]  # the fixture

BOTH = pytest.mark.parametrize("kind", [BoundedMailbox, BoundedLoopMailbox])


@attrs.frozen
class Alarm(Signal):
    number: int


def box_of(kind, **policy):
    """A mailbox and what found no room in it."""
    box, refused = kind(MailboxPolicy(**policy)), []
    box.lane.on_full = lambda envelope, why: refused.append((envelope.message, why))
    return box, refused


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"limit": 0}, "MailboxPolicy.limit must be a whole number of at least 1, got 0"),
        ({"limit": True}, "MailboxPolicy.limit must be a whole number"),
        ({"limit": "9"}, "MailboxPolicy.limit must be a whole number"),
        ({"limit": 1.5}, "MailboxPolicy.limit must be a whole number"),
        ({"high": 0}, "MailboxPolicy.high must be a whole number"),
        ({"high": 4, "low": 4}, "MailboxPolicy.low must be below high (4), got 4"),
        ({"high": 4, "low": -1}, "MailboxPolicy.low must be a whole number of at least 0, got -1"),
        ({"limit": 3, "high": 4}, "MailboxPolicy.high must be at most limit (3), got 4"),
        ({"on_full": "reject"}, "MailboxPolicy.on_full must be one of OnFull.REJECT, OnFull.DROP_OLDEST, got 'reject'"),
        ({"park": 0}, "MailboxPolicy.park must be a whole number"),
        ({"park": None}, "MailboxPolicy.park must be a whole number"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_field_and_range(fields, complaint):
    """When it is made, not when the mailbox is full."""
    with pytest.raises(ValueError, match=re.escape(complaint)):
        MailboxPolicy(**fields)


def test_the_limits_of_a_policy_follow_from_its_bound():
    """Three quarters of the bound are high, half of that is low; without a bound nothing is high."""
    policy = MailboxPolicy(limit=100)
    assert (policy.high, policy.low) == (75, 37)
    assert (MailboxPolicy(limit=1).high, MailboxPolicy(limit=1).low) == (1, 0)
    assert MailboxPolicy().high is None
    assert MailboxPolicy(limit=100, high=None).high is None


def test_a_specification_takes_a_policy_and_nothing_else():
    """A number in its place is an error when the specification is made."""
    with pytest.raises(ValueError, match="mailbox"):
        ChildSpec("a", lambda: None, mailbox=100)


@BOTH
def test_a_full_mailbox_rejects_what_comes_and_takes_signals(kind):
    """The bound holds exactly; signals and requests to stop come in all the same, and the order stays."""
    box, refused = box_of(kind, limit=2)
    fill(box, "a", "b", "c", Alarm(1), messages._ActorStop(), "d")
    assert refused == [("c", "full"), ("d", "full")]
    assert box.qsize() == 4
    assert empty_out(box) == [Alarm(1), "a", "b", messages._ActorStop()]
    fill(box, "e")
    assert empty_out(box) == ["e"]


@BOTH
def test_a_full_mailbox_may_drop_the_oldest(kind):
    """The newest are kept; a request to stop is never what makes room."""
    box, refused = box_of(kind, limit=3, on_full=OnFull.DROP_OLDEST)
    fill(box, messages._ActorStop(), "a", "b", "c", "d")
    assert refused == [("a", "dropped"), ("b", "dropped")]
    assert empty_out(box) == [messages._ActorStop(), "c", "d"]


@BOTH
def test_a_full_lane_of_stop_requests_drops_what_comes(kind):
    """Nothing else could make room."""
    box, refused = box_of(kind, limit=1, on_full=OnFull.DROP_OLDEST)
    fill(box, messages._ActorStop(), "a")
    assert refused == [("a", "full")]
    assert empty_out(box) == [messages._ActorStop()]


@BOTH
def test_messages_put_back_and_put_last_find_room_beyond_the_bound(kind):
    """Nothing that was taken once is lost for want of room."""
    box, refused = box_of(kind, limit=1)
    fill(box, "c")
    box.put_back([Envelope("a"), Envelope("b")])
    box.put_last(Envelope("d"))
    assert box.has_messages()
    assert empty_out(box) == ["a", "b", "c", "d"]
    assert refused == []
    assert not box.has_messages()
    assert box.lane.peak == 4


@BOTH
def test_a_closed_mailbox_rejects_what_waits_and_what_comes(kind):
    """Also when it was full."""
    box, _ = box_of(kind, limit=2)
    rejected = []
    box.on_reject = lambda envelope: rejected.append(envelope.message)
    fill(box, "a", Alarm(1), "b")
    box.close()
    fill(box, "c", Alarm(2))
    box.put_last(Envelope("d"))
    box.put_back([Envelope("e")])
    assert rejected == [Alarm(1), "a", "b", "c", Alarm(2), "d", "e"]
    assert box.empty()


def test_high_water_is_announced_once_until_it_was_low_again():
    """Going up and down above the low mark tells nothing new."""
    lane, highs = MessageLane(MailboxPolicy(high=4, low=2)), []
    lane.on_high = highs.append

    def to(size):
        while len(lane) < size:
            lane.add(Envelope("x"))
        while len(lane) > size:
            lane.take()

    for size, told in [(3, 0), (4, 1), (6, 1), (3, 1), (6, 1), (2, 1), (3, 1), (4, 2), (0, 2), (9, 3)]:
        to(size)
        assert len(highs) == told, (size, highs)
    assert highs == [4, 4, 4]
    assert lane.peak == 9


def test_the_age_is_that_of_the_oldest_message():
    """It moves on when that is taken, and is 0 when none waits."""
    now = [10.0]
    lane = MessageLane(MailboxPolicy(), lambda: now[0])
    assert lane.age() == 0
    lane.add(Envelope("a"))
    now[0] = 13.0
    lane.add(Envelope("b"))
    assert lane.age() == 3
    now[0] = 15.0
    assert (lane.age(), lane.take().message, lane.age()) == (5, "a", 2)


def test_a_reader_of_a_bounded_mailbox_sleeps_and_is_woken():
    """By a message, by a signal, by the end."""
    box, got = BoundedMailbox(MailboxPolicy(limit=3)), []

    def read():
        while (message := box.get().message) != Stop():
            got.append(message)

    reader = threading.Thread(target=read)
    reader.start()
    await_true(lambda: box._asleep, "it sleeps")
    fill(box, "a")
    await_true(lambda: got == ["a"] and box._asleep, "it got the message and sleeps again")
    fill(box, Alarm(1))
    await_true(lambda: got == ["a", Alarm(1)] and box._asleep, "it got the signal")
    box.close()
    reader.join(DEADLINE)
    assert not reader.is_alive()
    assert got == ["a", Alarm(1)]


@pytest.mark.usefixtures("hectic")
@pytest.mark.parametrize("on_full", list(OnFull))
def test_with_many_senders_every_message_is_read_or_refused_exactly_once(on_full):
    """The reader sleeps and wakes all the time; the bound is never exceeded, no wake-up is lost."""
    for _round in range(20):
        box, refused = box_of(BoundedMailbox, limit=5, on_full=on_full)
        seen, over = [], []

        def put(sender, box=box, over=over):
            for number in range(60):
                box.put(Envelope(Alarm(sender * 1000 + number) if number % 7 == 0 else sender * 1000 + number))
                if len(box.lane) > 5:
                    over.append(len(box.lane))

        def read(box=box, seen=seen):
            while (message := box.get().message) != Stop():
                seen.append(message.number if isinstance(message, Alarm) else message)

        reader = threading.Thread(target=read)
        reader.start()
        senders = [threading.Thread(target=put, args=(sender,)) for sender in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(DEADLINE)
        expected = sorted(sender * 1000 + number for sender in range(4) for number in range(60))
        await_true(lambda s=seen, r=refused, e=expected: len(s) + len(r) == len(e), "all are read or refused")
        box.close()
        reader.join(DEADLINE)
        assert sorted([*seen, *(message for message, _ in refused)]) == expected
        assert over == []


# --------------------------------------------------------------------------------------------------- with actors


@pytest.fixture
def crowded(stage, make, runtime):
    """An actor with three messages of five in its mailbox, and the gate that holds it up in the first."""

    def crowd(**policy):
        gate, actor = threading.Event(), make()
        actor.use_mailbox(MailboxPolicy(limit=3, **policy))
        ref = stage.enter(actor)
        ref.tell(Do(lambda _: gate.wait(DEADLINE)))
        await_true(lambda: actor.handled_count == 1, "it is held up")
        replies = [ref.request(number) for number in range(3)]
        return ref, actor, gate, replies

    return crowd


def test_an_ask_of_a_full_actor_fails_at_once_and_a_tell_is_a_dead_letter(crowded, runtime, log):
    """What was in the mailbox is served; a stop gets through."""
    ref, _actor, gate, replies = crowded()
    with pytest.raises(MailboxFullError, match="the mailbox of rt/a is full"):
        ref.ask("one too many", timeout=DEADLINE)
    ref.tell("and one more")
    assert [(letter.path, letter.why) for letter in log.of(DeadLetter)] == [("rt/a", "full")]
    assert runtime.dead_letters["rt/a"] == 1
    gate.set()
    assert [reply.get(timeout=DEADLINE) for reply in replies] == [0, 1, 2]
    assert ref.ask("room again", timeout=DEADLINE) == "room again"


def test_the_asker_of_a_dropped_message_is_told(crowded, runtime, log):
    """The newest are served; a dropped tell is a dead letter."""
    ref, _actor, gate, replies = crowded(on_full=OnFull.DROP_OLDEST)
    ref.tell("tell")
    ref.tell(Do(lambda _: None))
    ref.tell(Do(lambda _: None))
    newest = ref.request("newest")
    for reply in replies:
        with pytest.raises(MailboxFullError, match="made room for a newer one"):
            reply.get(timeout=DEADLINE)
    gate.set()
    assert newest.get(timeout=DEADLINE) == "newest"
    assert [(letter.message_type, letter.why) for letter in log.of(DeadLetter)] == [("str", "dropped")]


def test_a_full_actor_can_be_stopped(crowded):
    """Signals always find room; those that wait are answered."""
    _ref, actor, gate, replies = crowded()
    actor.request_stop()
    gate.set()
    assert down_of(actor).get(timeout=DEADLINE)
    assert all(reply.done() for reply in replies)


def test_a_mailbox_that_fills_up_is_an_event(crowded, log):
    """With the numbers; and its measures can be read meanwhile."""
    _ref, actor, gate, replies = crowded(high=2)
    event = log.await_event(MailboxHigh)
    assert (event.path, event.incarnation, event.waiting, event.limit) == ("rt/a", actor.incarnation, 2, 3)
    assert str(event) == "rt/a: 2 messages wait of at most 3"
    assert (len(actor.lane), actor.lane.peak) == (3, 3)
    assert actor.lane.age() > 0
    gate.set()
    [reply.get(timeout=DEADLINE) for reply in replies]
    assert len(log.of(MailboxHigh)) == 1


def test_messages_put_into_the_first_mailbox_move_over(make, stage):
    """Also those of somebody who still holds it."""
    actor = make()
    first = actor.actor_inbox
    early, late = ReplyFuture(), ReplyFuture()
    actor.actor_ref.actor_inbox.put(Envelope("early", early))
    actor.use_mailbox(MailboxPolicy(limit=10))
    first.put(Envelope("late", late))
    stage.enter(actor)
    assert (early.get(timeout=DEADLINE), late.get(timeout=DEADLINE)) == ("early", "late")
    assert actor.actor_ref.ask("x", timeout=DEADLINE) == "x"


def test_a_supervisor_gives_its_children_the_mailbox_of_their_specification(runtime, make):
    """Every incarnation of them."""
    spec = ChildSpec("a", make, mailbox=MailboxPolicy(limit=7))
    runtime.start(Supervisor(SupervisorSpec((spec,))))
    ref = runtime.ref("rt/a")
    assert ref.actor.lane.policy.limit == 7
    before = ref.actor
    ref.tell(Do(lambda _: 1 / 0))
    await_true(lambda: ref.actor not in (None, before), "the next one is there")
    assert ref.actor.lane.policy.limit == 7
