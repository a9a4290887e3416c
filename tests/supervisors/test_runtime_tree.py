"""The runtime: one tree with its names, events, timers and its end."""

import gc
import threading
import time
import weakref

import pykka
import pytest

from supervisors import ChildSpec, ExitKind, ExitReason, Ladder, Runtime, Supervisor, SupervisorSpec
from supervisors.events import DeadLetter, Ended, Event, GaveUp, Restarting, Started
from supervisors.exits import ActorExit
from supervisors.testing import DEADLINE, AsyncProbe, Do, Journal, Probe
from supervisors.timer import TimerThread
from tests.supervisors.conftest import make_loop


def spec(*ids, journal=None, **options):
    return SupervisorSpec(tuple(ChildSpec(one, lambda: Probe(journal)) for one in ids), **options)


def test_a_tree_starts_and_stops_in_order(runtime, journal):
    """``start`` returns when all are up, ``stop`` when all are down; ``ended`` tells the reason."""
    root = runtime.start(Supervisor(spec("a", "b", journal=journal)))
    assert root.path == "rt"
    assert journal.entries() == ["+a", "+b"]
    assert not runtime.ended.done()
    assert runtime.stop(DEADLINE, ExitReason(ExitKind.SHUTDOWN, "enough"))
    assert journal.entries() == ["+a", "+b", "-b", "-a"]
    assert runtime.ended.get(timeout=0) == ExitReason(ExitKind.SHUTDOWN, "enough")
    assert not root.is_up()


def test_a_root_that_refuses_is_an_error_with_the_reason(runtime, journal):
    """What was started before is stopped; the runtime can be stopped all the same."""

    def refuse(_):
        raise ValueError("no way")

    children = (ChildSpec("a", lambda: Probe(journal)), ChildSpec("b", lambda: Probe(start=refuse)))
    with pytest.raises(RuntimeError, match=r"'b' refused to start.*no way"):
        runtime.start(Supervisor(SupervisorSpec(children)))
    assert journal.entries() == ["+a", "-a"]
    assert runtime.ended.get(timeout=0).kind is ExitKind.START_FAILED
    assert runtime.stop(DEADLINE)


def test_a_root_that_takes_too_long_is_a_timeout_and_can_be_stopped(runtime, journal):
    """The start is called off by the stop."""
    gate = threading.Event()
    children = (ChildSpec("a", lambda: Probe(journal, start=lambda _: gate.wait(DEADLINE))), ChildSpec("b", Probe))
    with pytest.raises(pykka.Timeout):
        runtime.start(Supervisor(SupervisorSpec(children)), timeout=0.05)
    gate.set()
    assert runtime.stop(DEADLINE)
    assert journal.entries() == ["+a", "-a"]


def test_a_runtime_has_one_tree(runtime):
    """A second start is an error that says what to do."""
    runtime.start(Supervisor(spec()))
    with pytest.raises(RuntimeError, match="make a new one"):
        runtime.start(Supervisor(spec()))


def test_a_runtime_without_a_tree_can_be_stopped_again_and_again():
    """Only its timer ends."""
    runtime = Runtime("rt")
    assert runtime.stop(DEADLINE)
    assert runtime.stop(DEADLINE)
    assert not runtime.timer._thread.is_alive()


def test_a_stop_that_takes_longer_than_it_may_is_told_so(runtime):
    """The ladders go on climbing, and a second stop sees the end."""
    gate = threading.Event()
    child = ChildSpec("a", lambda: Probe(stop=lambda _: gate.wait(DEADLINE)), ladder=Ladder(stop=DEADLINE))
    runtime.start(Supervisor(SupervisorSpec((child,))))
    assert runtime.stop(0.05) is False
    gate.set()
    assert runtime.stop(DEADLINE)


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_an_actor_that_stops_its_own_tree_does_not_wait_for_itself(runtime, kind):
    """It is answered at once that the tree has not ended; and it ends as the others do, by no ladder."""
    rungs = []
    runtime.subscribe(rungs.append, ["ladder_rung"])
    start = Probe if kind == "thread" else lambda: AsyncProbe(make_loop())
    runtime.start(Supervisor(SupervisorSpec([ChildSpec("a", start)])))
    assert runtime.ref("rt/a").ask(Do(lambda actor: actor.runtime.stop(3600)), timeout=DEADLINE) is False
    assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.SHUTDOWN
    assert runtime.stop(DEADLINE)
    assert rungs == []


def test_two_runtimes_in_one_process_do_not_see_each_other(runtime, journal):
    """Same name, same paths: names, events, dead letters and the end are each one's own."""
    other = Runtime("rt")
    heard = []
    other.subscribe(heard.append)
    runtime.start(Supervisor(spec("a", journal=journal)))
    other.start(Supervisor(spec("a")))
    heard.clear()
    runtime.ref("rt/nobody").tell("x")
    assert other.dead_letters == {}
    assert heard == []
    assert other.ref("rt/a") is not runtime.ref("rt/a")
    assert runtime.stop(DEADLINE)
    assert other.ref("rt/a").ask("alive", timeout=DEADLINE) == "alive"
    assert other.stop(DEADLINE)


def test_a_stopped_runtime_is_not_kept_in_memory():
    """Nothing of the library holds on to it, nor to its actors."""
    runtime, actor = Runtime("rt"), Probe()
    runtime.start(actor)
    assert runtime.stop(DEADLINE)
    gone = [weakref.ref(runtime), weakref.ref(actor)]
    actor._thread.join(DEADLINE)
    del runtime, actor
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_events_are_heard_by_kind_and_until_unsubscribed(runtime, log):
    """A subscriber that raises is logged and harms nobody."""
    started, everything = [], []
    runtime.subscribe(lambda _: 1 / 0)
    runtime.subscribe(started.append, ["started"])
    unsubscribe = runtime.subscribe(everything.append)
    runtime.start(Supervisor(spec("a", "b")))
    unsubscribe()
    runtime.ref("rt/nobody").tell("x")
    assert [event.path for event in started] == ["rt/a", "rt/b"]
    assert [event for event in everything if event.kind != "launched"] == started
    assert log.of(DeadLetter)


def test_dead_letters_are_counted_exactly(runtime):
    """Also when many threads send at once."""
    ref = runtime.ref("rt/nobody")
    threads = [threading.Thread(target=lambda: [ref.tell("x") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert runtime.dead_letters["rt/nobody"] == 2000


WHY = ExitReason(ExitKind.ERROR, error_type="ValueError", error_text="bad")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Started("s/a", 7), "s/a started (incarnation 7)"),
        (Ended("s/a", WHY, expected=False), "s/a ended: error: ValueError: bad"),
        (Restarting("s/a", 1.5, ("a", "b"), WHY), "s/a restarts with 1 siblings in 1.5 s after error: ValueError: bad"),
        (GaveUp("s", "a", "streak", WHY, (1.0,)), "s gave up on a (streak): error: ValueError: bad"),
        (DeadLetter("s/a", "Lease", "fenced"), "s/a: dead letter Lease (fenced)"),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_events_are_readable_for_people_and_for_machines(event, text):
    """A sentence, and a flat map of plain values with its kind first."""
    assert str(event) == text
    assert next(iter(event.as_map().items())) == ("kind", event.kind)
    assert all(isinstance(value, str | int | float | bool | tuple) for value in event.as_map().values())


def test_exit_reasons_tell_what_is_at_their_root():
    """The first reason of the chain, and all of it in the text; no live exception anywhere."""
    top = ExitReason(ExitKind.GAVE_UP, "child 'a' reached the limit", cause=WHY)
    assert top.root is WHY
    assert str(top) == "gave_up: child 'a' reached the limit: caused by error: ValueError: bad"
    assert top.abnormal
    assert not ExitReason(ExitKind.SHUTDOWN).abnormal
    assert str(ActorExit(WHY)) == str(WHY)
    long = ExitReason.of(ExitKind.ERROR, ValueError("x" * 9999 + "\nsecond line"))
    assert len(long.error_text) == 500


# ------------------------------------------------------------------------------------------------------------ timers


@pytest.fixture
def timer():
    timer = TimerThread("rt timer")
    yield timer
    timer.close()
    assert not timer._thread.is_alive()


def test_timers_run_in_the_order_of_their_time(timer, journal):
    """Not in that of their setting; one set for earlier wakes the thread."""
    now = time.monotonic()
    timer.at(now + 3600, lambda: journal.add("never"))
    for name, after in (("c", 0.06), ("a", 0.02), ("b", 0.04)):
        timer.at(now + after, lambda name=name: journal.add(name))
    journal.await_entry("c")
    assert journal.entries() == ["a", "b", "c"]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=lambda error: type(error).__name__)
def test_a_timer_that_raises_does_not_stop_the_others(timer, journal, error):
    """All ladders hang on this one thread."""

    def fail():
        raise error

    timer.after(0, fail)
    timer.after(0, lambda: journal.add("next"))
    journal.await_entry("next")


def test_a_cancelled_timer_is_not_called_and_lets_go_of_what_it_holds(timer, journal):
    """Although its time is an hour away."""

    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    far = timer.after(3600, lambda big=big: big)
    near = timer.after(0.02, lambda: journal.add("cancelled"))
    far.cancel(), near.cancel()
    del big
    assert gone() is None
    timer.after(0.03, lambda: journal.add("due"))
    journal.await_entry("due")
    assert journal.entries() == ["due"]


@pytest.mark.parametrize("seconds", [1e10, 1e12, 1e300])
def test_a_timer_of_the_far_future_does_not_end_the_others(timer, journal, seconds):
    """A ladder may have as many seconds as its user likes; the timers of everybody else are served all the same."""
    timer.after(seconds, lambda: journal.add("far"))
    timer.after(0.05, lambda: journal.add("near"))
    journal.await_entry("near")
    timer.after(0.05, lambda: journal.add("next"))  # by now it has waited for the far one alone
    journal.await_entry("next")
    assert journal.entries() == ["near", "next"]


def test_cancelled_timers_do_not_pile_up(timer):
    """Each child that starts or stops sets one for a minute ahead and cancels it a moment later."""
    keep = [timer.after(3600, Journal) for _ in range(10)]
    for _ in range(10_000):
        timer.after(3600, Journal).cancel()
    assert len(timer._heap) < 200
    assert sum(not entry[2].cancelled for entry in timer._heap) == len(keep)


def test_a_closed_timer_calls_nothing(journal):
    """It may be closed from one of its own functions."""
    timer = TimerThread("rt timer")
    closed = threading.Event()
    timer.after(0, lambda: (timer.close(), closed.set()))
    timer.after(0.01, lambda: journal.add("late"))
    assert closed.wait(DEADLINE)
    timer._thread.join(DEADLINE)
    assert journal.entries() == []


def test_an_actor_can_be_the_root(runtime):
    """A tree may be a single actor."""
    ref = runtime.start(Probe())
    assert ref.ask(Do(lambda actor: actor.path), timeout=DEADLINE) == "rt"
