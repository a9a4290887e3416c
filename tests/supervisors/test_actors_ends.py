"""How actors of both kinds end: exactly once, with the right reason, and without harm to anybody else."""

import asyncio
import threading

import pykka
import pytest

from supervisors import NO_REPLY, SHUTDOWN, Actor, ActorExit, ExitKind, ExitReason, Killed, ThreadActor, end_actor
from supervisors.signals import Down, Ready
from supervisors.testing import DEADLINE, Do, Journal, Probe, await_true, down_of
from tests.supervisors.conftest import make_loop, open_files

BASE_EXCEPTIONS = [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]


def raiser(error):
    def function(_actor):
        raise error

    return function


def name_of(error):
    return type(error).__name__


def end_of(actor) -> ExitReason:
    return down_of(actor).get(timeout=DEADLINE).reason


def test_an_actor_that_is_told_to_stop_stops(stage, make, journal):
    """Its stop hook runs, its reason is a shutdown, nothing is released."""
    actor = make(journal)
    stage.enter(actor)
    actor.request_stop()
    assert end_of(actor).kind is ExitKind.SHUTDOWN
    assert journal.entries() == ["+a", "-a"]


def test_a_crash_in_a_tell_ends_the_actor(stage, make, journal):
    """The failure hook runs instead of the stop hook, the actor is released; the reason keeps text and traceback."""
    actor = make(journal)
    stage.enter(actor).tell(Do(lambda _: 1 / 0))
    reason = end_of(actor)
    assert (reason.kind, reason.error_type, reason.error_text) == (
        ExitKind.ERROR,
        "ZeroDivisionError",
        "division by zero",
    )
    assert "1 / 0" in reason.traceback
    assert journal.entries() == ["+a", "!a", "~a"]


def test_a_crash_in_an_ask_answers_the_asker_and_ends_the_actor(stage, make):
    """Both, unlike in Pykka, where the actor lives on with whatever state the crash left."""
    actor = make()
    ref = stage.enter(actor)
    with pytest.raises(ZeroDivisionError):
        ref.ask(Do(lambda _: 1 / 0), timeout=DEADLINE)
    assert end_of(actor).kind is ExitKind.ERROR
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("anybody there?", timeout=DEADLINE)


@pytest.mark.parametrize("error", BASE_EXCEPTIONS, ids=name_of)
def test_a_base_exception_in_a_handler_ends_that_actor_only(stage, make, error):
    """The asker hears that the actor died; its neighbour and this process go on."""
    actor, neighbour = make(), make()
    ref, other = stage.enter(actor), stage.enter(neighbour, "b")
    with pytest.raises(pykka.ActorDeadError, match=type(error).__name__):
        ref.ask(Do(raiser(error)), timeout=DEADLINE)
    reason = end_of(actor)
    assert (reason.kind, reason.error_type) == (ExitKind.ERROR, type(error).__name__)
    assert other.ask("alive", timeout=DEADLINE) == "alive"


@pytest.mark.parametrize("error", [ValueError("no"), *BASE_EXCEPTIONS], ids=name_of)
def test_an_exception_in_the_start_hook_refuses_the_start(stage, make, journal, error):
    """The one ``Down`` says so: ``start_failed``, and that it never was ready."""
    actor = make(journal, start=raiser(error))
    down = stage.try_enter(actor).get(timeout=DEADLINE)
    assert (down.reason.kind, down.reason.error_type) == (ExitKind.START_FAILED, type(error).__name__)
    assert not down.was_ready
    assert journal.entries() == ["+a", "!a", "~a"]


@pytest.mark.parametrize("error", [ValueError("no"), *BASE_EXCEPTIONS], ids=name_of)
def test_an_exception_in_the_stop_hook_becomes_the_reason(stage, make, journal, error):
    """The actor ends all the same, abnormally, and is released."""
    actor = make(journal, stop=raiser(error))
    stage.enter(actor)
    actor.request_stop()
    reason = end_of(actor)
    assert (reason.kind, reason.error_type) == (ExitKind.ERROR, type(error).__name__)
    assert journal.entries() == ["+a", "-a", "~a"]


@pytest.mark.parametrize("error", [ValueError("no"), *BASE_EXCEPTIONS], ids=name_of)
def test_an_exception_in_the_failure_hook_changes_nothing(stage, make, error):
    """The reason stays that of the crash."""
    actor = make(fail=raiser(error))
    stage.enter(actor).tell(Do(lambda _: 1 / 0))
    assert end_of(actor).error_type == "ZeroDivisionError"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=name_of)
def test_a_release_hook_that_raises_does_not_keep_back_the_news(stage, make, error):
    """``Down`` comes whatever ``release`` does."""
    actor = make(release=raiser(error))
    stage.enter(actor).tell(Do(lambda _: 1 / 0))
    assert end_of(actor).error_type == "ZeroDivisionError"


@pytest.mark.parametrize("error", [ValueError("no text"), SystemExit(1), KeyboardInterrupt()], ids=name_of)
def test_an_exception_whose_text_cannot_be_read_ends_the_actor_like_any_other(stage, make, error):
    """``__str__`` of a foreign exception is foreign code, and may raise. Its asker is answered all the same."""

    class Mute(Exception):
        def __str__(self):
            raise error

    actor = make()
    with pytest.raises(Mute):
        stage.enter(actor).ask(Do(raiser(Mute())), timeout=DEADLINE)
    assert end_of(actor).error_type == "Mute"


def test_an_actor_can_end_by_itself_and_leave_a_value(stage, make, journal):
    """The value is in the reason; a normal end runs the stop hook."""
    actor = make(journal)
    ref = stage.enter(actor)
    with pytest.raises(pykka.ActorDeadError, match="normal"):
        ref.ask(Do(lambda _: end_actor({"verdict": 7}, "done")), timeout=DEADLINE)
    reason = end_of(actor)
    assert (reason.kind, reason.value, reason.detail) == (ExitKind.NORMAL, {"verdict": 7}, "done")
    assert journal.entries() == ["+a", "-a"]


def test_an_actor_can_end_by_itself_abnormally(stage, make, journal):
    """``ActorExit`` with an abnormal reason is a failure with that reason."""
    actor = make(journal)
    stage.enter(actor).tell(Do(raiser(ActorExit(ExitReason(ExitKind.KILLED, "gone")))))
    assert end_of(actor) == ExitReason(ExitKind.KILLED, "gone")
    assert journal.entries() == ["+a", "!a", "~a"]


def test_ready_comes_before_down_and_each_once(stage, make):
    """Every watcher hears both exactly once, also a watcher beside one that raises."""
    heard, actor = [], make()
    actor.monitor(lambda _: 1 / 0)
    actor.monitor(heard.append)
    ref = stage.enter(actor)
    actor.announce_ready()
    ref.tell(Do(lambda _: 1 / 0))
    end_of(actor)
    actor.request_stop()
    actor.abandon(ExitReason(ExitKind.SHUTDOWN))
    await_true(lambda: len(heard) >= 2, "the news come")
    assert [type(signal) for signal in heard] == [Ready, Down]
    assert heard[1].was_ready


def test_a_late_watcher_hears_the_end_at_once(stage, make):
    """The same ``Down`` as those who watched before."""
    actor = make()
    early = down_of(actor)
    stage.enter(actor)
    actor.request_stop()
    down, heard = early.get(timeout=DEADLINE), []
    actor.monitor(heard.append)
    assert heard == [down]


def test_watchers_that_come_while_the_actor_ends_hear_it_exactly_once(stage, make):
    """Four threads add watchers while it dies: each watcher hears one ``Down``, early or late."""
    for number in range(20):
        actor, heard = make(), []
        ref = stage.enter(actor, f"a{number}")
        begin = threading.Barrier(5)

        def watch(ref=ref, heard=heard, begin=begin):
            begin.wait()
            for _ in range(25):
                ref.monitor(heard.append)

        threads = [threading.Thread(target=watch) for _ in range(4)]
        for thread in threads:
            thread.start()
        begin.wait()
        ref.tell(Do(lambda _: 1 / 0))
        for thread in threads:
            thread.join(DEADLINE)
        await_true(lambda heard=heard: len(heard) >= 100, "every watcher hears")
        assert [type(signal) for signal in heard] == [Down] * 100


def test_actors_watch_each_other(stage, make):
    """One signal for the present incarnation, also when there is none."""
    watcher, watched = make(), make()
    ref, target = stage.enter(watcher, "watcher"), stage.enter(watched)
    ref.ask(Do(lambda actor: actor.watch(target)), timeout=DEADLINE)
    ref.ask(Do(lambda actor: actor.watch(actor.runtime.ref("rt/nobody"))), timeout=DEADLINE)
    target.tell(Do(lambda _: 1 / 0))
    await_true(lambda: len(watcher.signals) == 2, "both news come")
    assert [(signal.path, signal.reason.kind) for signal in watcher.signals] == [
        ("rt/nobody", ExitKind.NOPROC),
        ("rt/a", ExitKind.ERROR),
    ]


def test_messages_that_wait_when_an_actor_ends_are_answered_or_counted(stage, make, runtime):
    """Asks fail with ``ActorDeadError``, tells are dead letters, a stop request is content."""
    gate = threading.Event()
    actor = make()
    ref = stage.enter(actor)
    ref.tell(Do(lambda _: gate.wait(DEADLINE) and 1 / 0))
    ask, stop = ref.request("x"), actor.actor_ref.stop(block=False)
    for _ in range(3):
        ref.tell("x")
    gate.set()
    with pytest.raises(pykka.ActorDeadError, match="ZeroDivisionError"):
        ask.get(timeout=DEADLINE)
    assert stop.get(timeout=DEADLINE) is True
    end_of(actor)
    assert runtime.dead_letters["rt/a"] == 3


def test_an_actor_that_drains_serves_first_what_was_there(stage, make):
    """A stop request of a draining actor loses no message; others leave them as dead letters."""

    def run(drains):
        gate, handled, actor = threading.Event(), [], make()
        type(actor).drains = drains
        try:
            ref = stage.enter(actor, f"drains{drains}")
            ref.tell(Do(lambda _: gate.wait(DEADLINE)))
            for number in range(3):
                ref.tell(Do(lambda _, number=number: handled.append(number)))
            actor.request_stop()
            gate.set()
            end_of(actor)
        finally:
            type(actor).drains = False
        return handled

    assert run(drains=True) == [0, 1, 2]
    assert run(drains=False) == []


def test_a_reply_may_be_held_and_given_later(stage, make):
    """The handler returns ``NO_REPLY``; others are served meanwhile."""
    held, ref = [], stage.enter(make())

    def hold(actor):
        held.append(actor.hold_reply())
        return NO_REPLY

    answer = ref.request(Do(hold))
    assert ref.ask("next", timeout=DEADLINE) == "next"
    assert not answer.done()
    held[0].offer("late")
    assert answer.get(timeout=DEADLINE) == "late"


@pytest.mark.parametrize("how", ["stop", "crash", "abandon"])
def test_whoever_waits_for_a_held_reply_is_told_when_its_holder_ends(stage, make, how):
    """Unless it was handed to somebody who outlives the actor: then that one's answer counts."""
    held, actor = [], make()
    ref = stage.enter(actor)

    def hold(actor, **how):
        held.append(actor.hold_reply(**how))
        return NO_REPLY

    owed = ref.request(Do(hold))
    handed_on = ref.request(Do(lambda actor: hold(actor, outlives=True)))
    answered = ref.request(Do(hold))
    assert ref.ask("next", timeout=DEADLINE) == "next"
    held[2].offer("in time")
    down = down_of(actor)
    if how == "stop":
        actor.request_stop()
    elif how == "crash":
        ref.tell(Do(lambda _: 1 / 0))
    else:
        actor.abandon(SHUTDOWN)
    with pytest.raises(pykka.ActorDeadError, match="ended before it answered"):
        owed.get(timeout=DEADLINE)
    down.get(timeout=DEADLINE)
    assert answered.get(timeout=DEADLINE) == "in time"
    assert not handed_on.done()
    held[1].offer("late")
    assert handed_on.get(timeout=DEADLINE) == "late"
    assert not held[0].offer("too late")


def test_the_running_actor_is_known_to_its_code(stage, make):
    """``current_actor`` is the actor in its handlers, and None elsewhere."""
    from supervisors import current_actor

    actor = make()
    assert stage.enter(actor).ask(Do(lambda _: current_actor()), timeout=DEADLINE) is actor
    assert current_actor() is None


def test_a_signal_can_be_set_for_a_time(stage, make, runtime):
    """It comes to ``on_signal``; a cancelled one does not."""
    import time

    from supervisors import Timeout

    actor = make()
    stage.enter(actor)
    actor.signal_at(time.monotonic() + 0.01, Timeout("cancelled")).cancel()
    actor.signal_at(time.monotonic() + 0.02, Timeout("due"))
    await_true(lambda: actor.signals, "the signal comes")
    assert actor.signals == [Timeout("due")]


def test_a_last_hook_that_hangs_is_ended_by_the_ladder(stage, make, runtime, log):
    """An actor that ends by itself has no ladder on it; without this its supervisor would never hear of the crash."""
    gate = threading.Event()
    stuck = (lambda _: asyncio.sleep(3600)) if make is not Probe else (lambda _: gate.wait(DEADLINE))
    actor = make(fail=stuck, release=lambda _: gate.set())
    type(actor).last_hook_limit, before = 0.05, Actor.last_hook_limit
    try:
        stage.enter(actor).tell(Do(lambda _: 1 / 0))
        assert end_of(actor).error_type == "ZeroDivisionError"
    finally:
        type(actor).last_hook_limit = before


def test_actors_end_when_no_thread_can_be_had(stage, monkeypatch):
    """A thread that cannot be started is a refused start, not a ghost that swallows asks."""

    def no_thread(_self):
        raise RuntimeError("can't start new thread")

    actor = Probe()
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    down = stage.try_enter(actor)
    monkeypatch.undo()
    assert down.get(timeout=DEADLINE).reason.kind is ExitKind.START_FAILED
    with pytest.raises(pykka.ActorDeadError):
        actor.ref.ask("x", timeout=DEADLINE)


def test_an_event_loop_that_gets_no_thread_gives_its_files_back(monkeypatch):
    """Nothing of it stays open."""

    def no_thread(_self):
        raise RuntimeError("can't start new thread")

    before = open_files()
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(RuntimeError):
        make_loop()
    assert open_files() == before


def test_an_actor_started_the_way_of_pykka_works_without_a_runtime(journal):
    """``start()`` of the class, ask, crash and the end need no tree."""
    ref = Probe.start(journal)
    assert ref.ask("x", timeout=DEADLINE) == "x"
    with pytest.raises(ZeroDivisionError):
        ref.ask(Do(lambda _: 1 / 0), timeout=DEADLINE)
    assert ref.actor_stopped.wait(DEADLINE)
    journal.await_entry("~" + journal.entries()[0][1:])
    assert pykka.ActorRegistry.get_all() == []


def test_stopping_the_way_of_pykka_keeps_its_meaning(stage, make, journal):
    """It waits its turn behind the messages, and returns when the stop hook has run."""
    actor = make(journal)
    ref = stage.enter(actor)
    for number in range(3):
        ref.tell(Do(lambda _, number=number: journal.add(str(number))))
    assert actor.actor_ref.stop(block=True, timeout=DEADLINE) is True
    assert journal.entries() == ["+a", "0", "1", "2", "-a"]
    assert actor.actor_ref.stop(block=True, timeout=DEADLINE) is False


def test_a_stray_kill_does_not_leave_a_ghost(stage):
    """``Killed`` that arrives while the actor waits for messages ends it like any other error."""
    actor = Probe()
    stage.enter(actor)
    assert actor.inject(ExitReason(ExitKind.KILLED, "by hand"))
    assert end_of(actor) == ExitReason(ExitKind.KILLED, "by hand")
    assert not actor.inject(ExitReason(ExitKind.KILLED))


@pytest.mark.parametrize("delay", range(12))
def test_kills_at_any_moment_of_the_end_lose_no_news(stage, delay):
    """Kills that rain down while an actor stops: one ``Down``, and no kill hits the thread after its seal."""
    survived = []

    class Victim(ThreadActor):
        def on_stop(self):
            for _ in range(delay * 20):
                pass

        def _finish(self, reason):
            for _ in range(200):  # any Killed that got through would land here
                pass
            survived.append(reason)
            super()._finish(reason)

    for number in range(10):
        actor = Victim()
        stage.enter(actor, f"v{delay}.{number}")
        actor.request_stop()
        while actor.inject(ExitReason(ExitKind.KILLED)):
            pass
        assert end_of(actor).kind in (ExitKind.SHUTDOWN, ExitKind.KILLED)
    assert len(survived) == 10


def test_killed_passes_through_except_exception():
    """Scraper loops of the kind ``except Exception: continue`` do not eat it."""
    assert not issubclass(Killed, Exception)
    assert not issubclass(ActorExit, Exception)


def test_a_journal_can_be_shared_by_incarnations(stage, make):
    """The same journal sees the actors of one path, one after another."""
    journal = Journal()
    for _ in range(2):
        actor = make(journal)
        stage.enter(actor)
        actor.request_stop()
        end_of(actor)
    assert journal.entries() == ["+a", "-a"] * 2
