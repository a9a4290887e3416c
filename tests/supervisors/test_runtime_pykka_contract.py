"""The names of Pykka that the kernel builds on, also private ones: a new Pykka that lacks one fails here."""

import inspect
import queue
import threading

import pykka
import pytest
from pykka import messages
from pykka._envelope import Envelope

from supervisors import ReplyFuture, ThreadActor
from supervisors.actor import Actor
from supervisors.incarnation import Incarnation
from supervisors.testing import DEADLINE, down_of


def test_an_envelope_is_a_message_and_who_waits_for_the_reply():
    """Made by ``ActorRef.tell`` and ``ask``, and by our references."""
    assert list(inspect.signature(Envelope).parameters) == ["message", "reply_to"]
    envelope = Envelope("x")
    assert (envelope.message, envelope.reply_to) == ("x", None)


def test_the_stop_message_is_what_a_reference_of_pykka_sends():
    """``ref.stop()`` puts it into the inbox with a future that is ours."""

    class Inbox:
        def __init__(self):
            self.got = []

        def put(self, envelope):
            self.got.append(envelope)

    class Silent(Actor):
        @staticmethod
        def _create_actor_inbox():
            return Inbox()

        @property
        def mailbox(self):
            return self.actor_inbox

        def _start_actor_loop(self):
            pass

    ref = Silent.start()
    ref.stop(block=False)
    pykka.ActorRegistry.unregister(ref)
    (envelope,) = ref.actor_inbox.got
    assert isinstance(envelope.message, messages._ActorStop)
    assert isinstance(envelope.reply_to, ReplyFuture)


@pytest.mark.parametrize(
    "hook", ["_create_actor_inbox", "_create_future", "_start_actor_loop", "on_start", "on_stop", "on_receive"]
)
def test_the_implementor_hooks_are_there(hook):
    """Those that a new type of actor has to fill in."""
    assert callable(getattr(pykka.Actor, hook))


def test_the_failure_hook_takes_an_exception_triple():
    """``on_failure`` is called with the three parts of an exception."""
    assert len(inspect.signature(pykka.Actor.on_failure).parameters) == 4


def test_the_inbox_of_a_reference_can_be_exchanged():
    """References send to the inbox that they hold, which is that of the actor when they are made."""
    actor = pykka.ThreadingActor()
    assert actor.actor_ref.actor_inbox is actor.actor_inbox
    other = queue.SimpleQueue()
    actor.actor_ref.actor_inbox = other
    actor.actor_ref.tell("x")
    assert other.get(timeout=1).message == "x"


def test_an_actor_has_what_the_kernel_reads():
    """The inbox, the reference, the event of its end; starting it is registering and running its loop."""
    source = inspect.getsource(pykka.Actor.start)
    assert "ActorRegistry.register" in source
    assert "_start_actor_loop" in source
    assert {"actor_inbox", "actor_stopped", "actor_ref"} <= set(dir(pykka.Actor)) | set(pykka.Actor.__annotations__)


def test_pykka_makes_of_an_actor_what_the_kernel_makes_later():
    """The constructor sets these four and nothing else: the kernel sets the inbox at once, the others when asked."""
    assert set(vars(pykka.ThreadingActor())) == {"actor_urn", "actor_inbox", "actor_stopped", "_actor_ref"}
    assert {"actor_urn", "actor_stopped", "actor_ref"} <= set(vars(Incarnation))


def test_what_is_made_later_is_the_same_for_everybody():
    """Many threads ask at once for what nobody has asked for."""
    actor, gate = ThreadActor(), threading.Barrier(8)
    seen = []

    def look():
        gate.wait()
        seen.append((actor.actor_ref, actor.actor_urn, actor.actor_stopped))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    ((ref, urn, stopped),) = set(seen)
    assert (ref.actor_urn, ref.actor_inbox, ref.actor_stopped) == (urn, actor.actor_inbox, stopped)


@pytest.mark.parametrize("early", [True, False], ids=["asked before the end", "asked after it"])
def test_a_reference_of_pykka_knows_the_end(runtime, early):
    """``is_alive`` and ``actor_stopped``, whenever the reference was made."""
    actor = ThreadActor()
    if early:
        assert actor.actor_ref.is_alive()
    runtime.launch(actor, "rt/a")
    down = down_of(actor)
    actor.request_stop()
    down.get(timeout=DEADLINE)
    assert not actor.actor_ref.is_alive()
    assert actor.actor_ref.actor_stopped.wait(DEADLINE)


def test_a_future_computes_derived_values_under_these_names():
    """``map`` makes a future of the same class and gives it a get hook; ``get`` of the base class calls it once."""
    calls = []
    future = ReplyFuture()
    derived = future.map(lambda value: calls.append(value) or value + 1)
    assert type(derived) is ReplyFuture
    assert derived._get_hook is not None
    future.set(1)
    assert (derived.get(timeout=0), derived.get(timeout=0), calls) == (2, 2, [1])
    with pytest.raises(queue.Full):
        derived.set(3)
    with pytest.raises(queue.Full):
        future.set_get_hook(lambda _timeout: 4)
    assert inspect.signature(pykka.Future.__init__).parameters.keys() == {"self"}


def test_the_registry_can_be_written_and_read():
    """``register``, ``unregister`` (also of one that is not in it) and ``get_all``."""
    actor = pykka.ThreadingActor
    assert callable(pykka.ActorRegistry.register)
    before = pykka.ActorRegistry.get_all()
    ref = actor.start()
    assert pykka.ActorRegistry.get_all() == [*before, ref]
    ref.stop()
    pykka.ActorRegistry.unregister(ref)
    assert pykka.ActorRegistry.get_all() == before
