"""Mailboxes: two lanes, and no message lost between put and close."""

import contextlib
import signal
import sys
import threading
import types
from collections import deque

import attrs
import pykka
import pytest
from pykka._envelope import Envelope

from supervisors import ReplyFuture, Signal
from supervisors.events import DeadLetter
from supervisors.mailboxes.mailbox import LoopMailbox, Mailbox
from supervisors.signals import Stop
from supervisors.testing import DEADLINE, Do, Probe, await_true

BOTH = pytest.mark.parametrize("kind", [Mailbox, LoopMailbox])


@attrs.frozen
class Alarm(Signal):
    number: int


@pytest.fixture
def hectic():
    """Threads are switched after every few bytecodes."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def fill(box, *messages):
    for message in messages:
        box.put(Envelope(message))


def empty_out(box):
    if isinstance(box, Mailbox):
        return [envelope.message for envelope in iter(box.poll, None)]
    return [box.get().message for _ in range(box.qsize())]


@BOTH
def test_signals_overtake_messages_and_both_lanes_keep_their_order(kind):
    """Whatever waits, a signal comes first."""
    box = kind()
    fill(box, "a", "b", Alarm(1), "c", Alarm(2))
    assert empty_out(box) == [Alarm(1), Alarm(2), "a", "b", "c"]


def test_a_signal_overtakes_the_message_that_a_reader_already_has_in_its_hand():
    """A message that was taken out while a signal came is held, and comes next."""
    box = Mailbox()
    fill(box, "a", "b")

    class Sneaky:
        """A queue that lets a signal come while the reader takes a message."""

        def get(self, queue=box._queue):
            envelope = queue.get()
            if envelope.message == "a":
                box._signals.append(Envelope(Alarm(1)))
            return envelope

    real, box._queue = box._queue, Sneaky()
    first = box.get().message
    box._queue = real
    assert [first, *empty_out(box)] == [Alarm(1), "a", "b"]


@pytest.mark.parametrize("get", ["get", "get_signal"])
def test_a_message_that_is_taken_out_while_the_mailbox_closes_is_rejected(get):
    """The reader that has it in its hands, and finds a signal to come first, does not keep it for itself."""
    box, rejected = Mailbox(), []
    box.on_reject = lambda envelope: rejected.append(envelope.message)
    fill(box, "a")

    class Sneaky:
        """A queue whose reader is overtaken by the end."""

        def get(self, queue=box._queue):
            envelope = queue.get()
            box._queue = queue
            box.close()
            if get == "get":
                box._signals.append(Envelope(Alarm(1)))
            return envelope

    box._queue = Sneaky()
    assert getattr(box, get)().message == Stop()
    assert "a" in rejected


def test_poll_gives_what_is_there_and_does_not_wait():
    """Polling an empty mailbox gives None, also when only a nudge is in it."""
    box = Mailbox()
    box.nudge()
    assert box.poll() is None
    fill(box, "a", Alarm(1))
    assert box.poll().message == Alarm(1)
    assert box.poll().message == "a"
    assert box.poll() is None


@BOTH
def test_closing_rejects_what_waits_and_what_comes_later(kind):
    """Each envelope goes to the reject hook once, from both lanes."""
    box, rejected = kind(), []
    box.on_reject = lambda envelope: rejected.append(envelope.message)
    fill(box, "a", Alarm(1))
    box.close()
    fill(box, "b", Alarm(2))
    assert sorted(rejected, key=str) == [Alarm(1), Alarm(2), "a", "b"]
    assert box.empty() or isinstance(box, Mailbox)


def test_a_reader_of_a_closed_mailbox_is_told_to_stop():
    """A reader that waits while another thread closes the mailbox does not wait for ever."""
    box, got = Mailbox(), []
    reader = threading.Thread(target=lambda: got.append(box.get().message))
    reader.start()
    box.close()
    reader.join(DEADLINE)
    assert got == [Stop()]


@BOTH
@pytest.mark.usefixtures("hectic")
def test_between_put_and_close_every_message_is_read_or_rejected_exactly_once(kind):
    """Four threads put while one reads and one closes: nothing is lost, nothing comes twice."""
    for _round in range(60):
        box, seen, rejected = kind(), [], []
        box.on_reject = lambda envelope, rejected=rejected: rejected.append(envelope.message)
        begin = threading.Barrier(6)

        def put(sender, box=box, begin=begin):
            begin.wait()
            for number in range(50):
                box.put(Envelope(Alarm(sender * 1000 + number) if number % 5 == 0 else sender * 1000 + number))

        def read(box=box, begin=begin, seen=seen):
            begin.wait()
            while not box.closed:
                try:
                    envelope = box.poll() if isinstance(box, Mailbox) else box.get()
                except IndexError:
                    continue
                if envelope is not None and envelope.message != Stop():
                    seen.append(envelope.message)

        def close(box=box, begin=begin, seen=seen):
            begin.wait()
            await_true(lambda: len(seen) > 20, "the reader got some")
            box.close()

        jobs = [threading.Thread(target=put, args=(sender,)) for sender in range(4)]
        jobs += [threading.Thread(target=read), threading.Thread(target=close)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(DEADLINE)
        numbers = sorted(m.number if isinstance(m, Alarm) else m for m in seen + rejected)
        assert numbers == [sender * 1000 + number for sender in range(4) for number in range(50)]


@pytest.mark.usefixtures("hectic")
def test_asks_that_race_with_the_end_of_an_actor_are_all_answered(stage, make):
    """Each ask gets its reply or ``ActorDeadError``, none waits for its timeout."""
    for number in range(15):
        ref = stage.enter(make(), f"a{number}")
        begin, futures = threading.Barrier(5), []

        def ask(ref=ref, begin=begin, futures=futures):
            begin.wait()
            futures.extend(ref.request("x") for _ in range(40))

        def kill(ref=ref, begin=begin, futures=futures):
            begin.wait()
            await_true(lambda: len(futures) > 10, "some were sent")
            ref.tell(Do(lambda _: 1 / 0))

        jobs = [threading.Thread(target=ask) for _ in range(4)] + [threading.Thread(target=kill)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(DEADLINE)
        futures.extend(ref.request("late") for _ in range(3))
        for future in futures:
            with contextlib.suppress(pykka.ActorDeadError):
                assert future.get(timeout=DEADLINE) in ("x", "late")


@pytest.mark.usefixtures("hectic")
def test_every_told_message_that_nobody_handles_is_a_counted_dead_letter(stage, make, runtime, log):
    """Of those handled and those counted none is missing, with four threads telling at once."""
    handled = []
    actor = make()
    ref = stage.enter(actor)

    def tell():
        for _ in range(100):
            ref.tell(Do(handled.append))

    senders = [threading.Thread(target=tell) for _ in range(4)]
    for sender in senders:
        sender.start()
    ref.actor.request_stop()
    for sender in senders:
        sender.join(DEADLINE)
    await_true(lambda: actor.exit_reason, "the actor ends")
    await_true(lambda: len(handled) + runtime.dead_letters[ref.path] == 400, "all are handled or counted")
    assert len(log.of(DeadLetter, ref.path)) == runtime.dead_letters[ref.path]
    assert {event.why for event in log.of(DeadLetter)} <= {"closed"}


def test_a_message_may_be_told_from_a_signal_handler(stage, runtime):
    """Handlers that interrupt a tell at any place tell as well, to a living and to a dead target: no deadlock."""
    actor = Probe()
    ref, fired = stage.enter(actor), []

    def on_alarm(*_):
        fired.append(1)
        ref.tell("from the handler")
        runtime.ref("rt/nobody").tell("from the handler")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(fired) < 200:
            ref.tell("x")
            runtime.ref("rt/nobody").tell("x")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ref.ask("alive", timeout=DEADLINE) == "alive"


@pytest.mark.parametrize("first", ["message", Alarm(1)], ids=["message", "signal"])
def test_what_a_signal_handler_puts_while_a_lane_is_made_is_not_lost(monkeypatch, first):
    """It comes between the look for the lane and the lane; so may another thread."""
    box, handled = LoopMailbox(), []

    def interrupted(*arguments):
        if not handled:
            handled.append(True)
            box.put(Envelope(first))
        return deque(*arguments)

    monkeypatch.setattr("supervisors.mailboxes.mailbox.deque", interrupted)
    box.put(Envelope(first))
    assert handled
    assert box.qsize() == 2


def test_an_empty_lane_is_nobodys():
    """What is put into one mailbox is in no other, and an idle one has no lane of its own."""
    one, other = LoopMailbox(), LoopMailbox()
    one.put(Envelope("x"))
    one.put(Envelope(Alarm(1)))
    assert (one.qsize(), other.qsize()) == (2, 0)
    assert vars(other) == {}


def test_a_loop_mailbox_shares_one_wake_up_among_many_messages():
    """Putting a hundred messages schedules one call on the loop; the next put after it was served one more."""
    box, calls = LoopMailbox(), []

    class Loop:
        def call_soon_threadsafe(self, callback):
            calls.append(callback)

    box.loop = Loop()
    fill(box, *range(100))
    assert len(calls) == 1
    calls[0]()
    fill(box, "more")
    assert len(calls) == 2


def test_an_interrupt_in_mid_put_does_not_leave_a_loop_mailbox_deaf():
    """A signal handler raised in the main thread just when it woke the loop: the next message wakes it."""
    mailbox, woken = LoopMailbox(), []

    def interrupted(function):
        mailbox.loop.call_soon_threadsafe = woken.append
        raise KeyboardInterrupt

    mailbox.loop = types.SimpleNamespace(call_soon_threadsafe=interrupted)
    with pytest.raises(KeyboardInterrupt):
        mailbox.put(Envelope("first"))
    mailbox.put(Envelope("second"))
    assert len(woken) == 1
    assert [mailbox.poll().message, mailbox.poll().message] == ["first", "second"]


def test_a_loop_mailbox_whose_loop_is_closed_answers_what_is_put():
    """A put that finds the loop closed rejects: an ask gets its error instead of waiting for ever."""
    box, future = LoopMailbox(), ReplyFuture()
    box.on_reject = lambda envelope: envelope.reply_to.offer(error=pykka.ActorDeadError("gone"))

    class Loop:
        def call_soon_threadsafe(self, _callback):
            raise RuntimeError("Event loop is closed")

    box.loop = Loop()
    box.put(Envelope("x", reply_to=future))
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=0)
