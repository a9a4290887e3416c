"""System messages: what every actor can be asked, also while it is suspended and behind a long backlog."""

import re
import threading

import pytest
from pykka._envelope import Envelope

from supervisors import (
    ChildSpec,
    Down,
    ExitKind,
    MailboxPolicy,
    NotHandledError,
    ReplyFuture,
    RestartPolicy,
    Supervisor,
    SupervisorSpec,
    Timeout,
    get_state,
    glance,
    measure,
    resume,
    start_child,
    statistics,
    stop_trace,
    suspend,
    trace_messages,
    which_children,
)
from supervisors.events import GaveUp, Traced, TraceEnded
from supervisors.instruments import _TraceOver
from supervisors.system_messages import GetState, GetStatistics, Suspend, Trace
from supervisors.testing import DEADLINE, Do, EventLog, Probe, await_true, down_of


def crash(_actor):
    raise ZeroDivisionError


@pytest.fixture
def ref(stage, make):
    return stage.enter(make())


# -------------------------------------------------------------------------------------------- suspend and resume


def test_a_suspended_actor_serves_signals_only(ref):
    """Messages wait in their order until it is resumed; it can be suspended and resumed again and again."""
    for _ in range(3):
        assert suspend(ref).get(timeout=DEADLINE) is True
        assert suspend(ref).get(timeout=DEADLINE) is True
        waiting = [ref.request(number) for number in range(3)]
        ref.actor.signal(Timeout("while suspended"))
        seen = statistics(ref).get(timeout=DEADLINE)
        assert (seen.suspended, seen.handled) == (True, ref.actor.handled_count)
        await_true(lambda: ref.actor.signals, "signals are served")
        ref.actor.signals.clear()
        assert not any(future.done() for future in waiting)
        assert resume(ref).get(timeout=DEADLINE) is True
        assert [future.get(timeout=DEADLINE) for future in waiting] == [0, 1, 2]
    assert resume(ref).get(timeout=DEADLINE) is True
    assert not ref.actor.suspended


def test_a_suspended_actor_can_be_stopped(ref, journal):
    """Its stop hook runs; what waits is answered."""
    actor = ref.actor
    suspend(ref).get(timeout=DEADLINE)
    waiting = ref.request("x")
    actor.request_stop()
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.SHUTDOWN
    assert actor.journal.entries() == ["+a", "-a"]
    with pytest.raises(NotHandledError):
        waiting.get(timeout=DEADLINE)


def test_a_suspended_actor_that_drains_serves_what_waits_before_it_ends(stage, make, monkeypatch):
    """Suspending it does not change what a stop means."""
    actor = make()
    monkeypatch.setattr(type(actor), "drains", True)
    ref = stage.enter(actor)
    suspend(ref).get(timeout=DEADLINE)
    waiting = ref.request("x")
    actor.request_stop()
    assert waiting.get(timeout=DEADLINE) == "x"
    down_of(actor).get(timeout=DEADLINE)


def test_a_suspended_actor_hears_of_those_it_watches_and_may_crash_over_it(stage, make, runtime):
    """``Down`` is a signal; what its handler raises ends the actor as ever."""
    actor, watched = make(), make()
    ref, target = stage.enter(actor), stage.enter(watched, "b")
    ref.ask(Do(lambda me: me.watch(target)), timeout=DEADLINE)
    suspend(ref).get(timeout=DEADLINE)
    target.tell(Do(crash))
    await_true(lambda: actor.signals, "it hears")
    assert isinstance(actor.signals[0], Down)
    actor.on_signal = crash
    actor.signal(Timeout("now"))
    assert down_of(actor).get(timeout=DEADLINE).reason.error_type == "ZeroDivisionError"


def test_a_suspended_actor_can_be_killed(ref, runtime):
    """No rung of the ladder minds."""
    from supervisors.signals import Stop
    from supervisors.spec import Ladder

    actor = ref.actor
    suspend(ref).get(timeout=DEADLINE)
    runtime.kill(actor, Ladder(stop=0, cancel=1, release=0, exception=1), Stop().reason)
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.KILLED


def test_a_suspended_supervisor_restarts_its_children_and_answers_later(runtime, make):
    """What happens to children are signals; requests wait."""
    spec = SupervisorSpec((ChildSpec("a", make),), restarts=RestartPolicy.otp(100))
    supervisor = runtime.start(Supervisor(spec))
    child = runtime.ref("rt/a")
    suspend(supervisor).get(timeout=DEADLINE)
    before, request = child.incarnation, which_children(supervisor)
    child.tell(Do(crash))
    await_true(lambda: child.incarnation not in (None, before), "it is restarted")
    added = start_child(supervisor, ChildSpec("b", Probe))
    assert not request.done()
    resume(supervisor).get(timeout=DEADLINE)
    assert [row.id for row in request.get(timeout=DEADLINE)] == ["a"]
    added.get(timeout=DEADLINE)


@pytest.mark.parametrize("outcome", ["refuses", "declines"])
@pytest.mark.parametrize("before", [False, True], ids=["while it is suspended", "before it is"])
def test_a_suspended_supervisor_hears_of_starts_that_failed_at_once_and_can_be_stopped(
    runtime, journal, outcome, before
):
    """It would wait for ever for news that it has itself, among the messages that it does not serve."""

    def begin():
        journal.add("start")
        if before and len(journal.entries()) == 2:
            supervisor.actor.signal(Suspend())  # comes first: what becomes of this start waits behind messages
        if len(journal.entries()) > 3 and outcome == "declines":
            return None
        if len(journal.entries()) > 1:
            raise ValueError("no")
        return Probe()

    spec = SupervisorSpec((ChildSpec("a", begin), ChildSpec("b", Probe)), restarts=RestartPolicy.otp(100))
    supervisor = runtime.start(Supervisor(spec))
    log = EventLog(runtime)
    if not before:
        suspend(supervisor).get(timeout=DEADLINE)
    runtime.ref("rt/a").tell(Do(crash))
    if outcome == "refuses":
        log.await_event(GaveUp)
        assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.GAVE_UP
    else:
        journal.await_entry("start", 4)
        assert runtime.stop(DEADLINE)


@pytest.mark.parametrize("policy", [None, MailboxPolicy(limit=5)])
def test_messages_that_come_while_an_actor_is_suspended_keep_their_order(stage, make, policy):
    """In either kind of mailbox, also those that were on their way when it was suspended."""
    actor, handled = make(), []
    if policy is not None:
        actor.use_mailbox(policy)
    ref = stage.enter(actor)
    gate = threading.Event()
    ref.tell(Do(lambda _: gate.wait(DEADLINE)))
    await_true(lambda: actor._in_hand, "it is held up")
    ref.tell(Do(lambda _: handled.append(0)))
    suspended = suspend(ref)
    gate.set()
    suspended.get(timeout=DEADLINE)
    for number in range(1, 5):
        ref.tell(Do(lambda _, number=number: handled.append(number)))
    statistics(ref).get(timeout=DEADLINE)
    assert handled == []
    resume(ref)
    await_true(lambda: len(handled) == 5, "all are handled")
    assert handled == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "ask", [suspend, resume, get_state, statistics, measure, stop_trace, trace_messages], ids=lambda ask: ask.__name__
)
def test_system_messages_to_nobody_fail_at_once(runtime, ask):
    """As every ask does."""
    with pytest.raises(NotHandledError):
        ask(runtime.ref("rt/nobody")).get(timeout=DEADLINE)
    assert glance(runtime.ref("rt/nobody")) is None


# ------------------------------------------------------------------------------------------------------- state


class Secretive(Probe):
    def __init__(self):
        super().__init__()
        self.count = 3
        self.password = "hunter2"
        self.long = "x" * 10_000
        self.many = list(range(10_000))
        self.broken = Broken()
        self._own = {"a": [1, 2]}

    def redact(self, name, value):
        if name == "message" and isinstance(value, dict):
            return {key: "***" if key == "password" else item for key, item in value.items()}
        return "***" if name == "password" else value


class Broken:
    def __repr__(self):
        raise ValueError("no text")


def test_the_state_of_an_actor_is_told_as_short_text(stage):
    """Its own attributes, private ones as well, cut; those of the kernel are left out."""
    ref = stage.enter(Secretive())
    state = get_state(ref).get(timeout=DEADLINE)
    assert set(state) == {"journal", "_hooks", "signals", "count", "password", "long", "many", "broken", "_own"}
    assert (state["count"], state["_own"]) == ("3", "{'a': [1, 2]}")
    assert max(len(text) for text in state.values()) <= 200
    assert state["broken"] == "<Broken: its text cannot be read, ValueError>"
    assert len(get_state(ref, text=20).get(timeout=DEADLINE)["long"]) <= 20


def test_an_actor_decides_what_is_seen_of_its_state(stage):
    """A secret does not leave it."""
    ref = stage.enter(Secretive())
    assert get_state(ref).get(timeout=DEADLINE)["password"] == "'***'"
    assert "hunter2" not in str(get_state(ref).get(timeout=DEADLINE))


@pytest.mark.parametrize("error", [KeyError, SystemExit, KeyboardInterrupt])
def test_a_redaction_that_fails_shows_nothing(stage, error):
    """And costs neither the actor nor the rest of the answer."""
    actor = Secretive()

    def redact(name, value):
        raise error(name)

    actor.redact = redact
    state = get_state(stage.enter(actor)).get(timeout=DEADLINE)
    assert state["password"] == f"<not shown: redact failed with {error.__name__}>"


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_who_looks_at_an_actor_never_ends_it(stage, log, error):
    """What a value raises when its text is asked for stays with the text, in a state and in a trace."""

    class Evil:
        def __repr__(self):
            raise error

    ref = stage.enter(Probe())
    ref.actor.evil, incarnation = Evil(), ref.incarnation
    assert "Evil" in get_state(ref).get(timeout=DEADLINE)["evil"]
    trace_messages(ref).get(timeout=DEADLINE)
    ref.ask(Evil(), timeout=DEADLINE)
    assert "Evil" in log.await_event(Traced).text
    assert ref.incarnation == incarnation


def test_the_state_is_read_in_the_thread_of_the_actor(stage):
    """So a handler never sees its state read halfway."""
    threads = []

    class Watched(Probe):
        def redact(self, name, value):
            threads.append(threading.current_thread().name)
            return value

    ref = stage.enter(Watched())
    get_state(ref).get(timeout=DEADLINE)
    assert set(threads) == {"rt/a"}


def test_an_actor_with_many_attributes_shows_the_first_and_how_many_more(stage):
    """The answer stays small."""
    actor = Probe()
    for number in range(300):
        setattr(actor, f"a{number}", number)
    state = get_state(stage.enter(actor)).get(timeout=DEADLINE)
    assert len(state) == 201
    assert state["…"] == "103 more"


# -------------------------------------------------------------------------------------------------- statistics


def test_statistics_tell_what_an_actor_did_and_what_waits(stage, make, runtime):
    """Counted from its start; of another incarnation nothing is mixed in."""
    actor = make()
    actor.use_mailbox(MailboxPolicy(limit=10))
    ref = stage.enter(actor)
    for number in range(5):
        ref.ask(number, timeout=DEADLINE)
    ref.request(Do(lambda me: me.stash()))
    seen = statistics(ref).get(timeout=DEADLINE)
    gate = threading.Event()
    ref.tell(Do(lambda _: gate.wait(DEADLINE)))
    await_true(lambda: actor.handled_count == 7, "it is held up")
    waiting = [ref.request(number) for number in range(3)]
    stuck = glance(ref)
    gate.set()
    [future.get(timeout=DEADLINE) for future in waiting]
    assert (seen.path, seen.incarnation, seen.ready, seen.suspended) == ("rt/a", actor.incarnation, True, False)
    assert (seen.busy, seen.dead_letters, seen.late) == (None, 0, 0)
    assert seen.started_at == actor.started_at > 0
    assert (stuck.handled, stuck.waiting, stuck.stashed) == (7, 3, 1)
    assert stuck.peak >= 3
    assert stuck.oldest > 0
    assert statistics(ref).get(timeout=DEADLINE).as_map()["handled"] == 10


def test_without_a_policy_age_and_high_water_are_unknown(ref):
    """They are not measured; the size is known."""
    seen = statistics(ref).get(timeout=DEADLINE)
    assert (seen.oldest, seen.peak) == (None, None)
    assert seen.waiting == 0


def test_busy_time_is_measured_when_it_is_switched_on(ref):
    """Handlers only, coroutines to their end; switched off nothing of it is left on the way of messages."""
    import asyncio
    import time

    measure(ref).get(timeout=DEADLINE)
    assert statistics(ref).get(timeout=DEADLINE).busy == 0.0

    def work(_):
        time.sleep(0.02)

    async def work_async(_):
        await asyncio.sleep(0.02)

    ref.ask(Do(work_async if ref.actor.cancels else work), timeout=DEADLINE)
    busy = statistics(ref).get(timeout=DEADLINE).busy
    assert busy >= 0.02
    assert statistics(ref).get(timeout=DEADLINE).busy == busy
    measure(ref, on=False).get(timeout=DEADLINE)
    assert statistics(ref).get(timeout=DEADLINE).busy is None
    assert "_dispatch" not in vars(ref.actor)


# ------------------------------------------------------------------------------------------------------- trace


def test_a_trace_tells_each_message_and_ends_by_count(ref, log):
    """With text, kind, time and what it raised; then nothing of it is left."""
    trace_messages(ref, count=3).get(timeout=DEADLINE)
    ref.tell("told")
    ref.ask("asked", timeout=DEADLINE)
    statistics(ref).get(timeout=DEADLINE)
    ref.ask("third", timeout=DEADLINE)
    ref.ask("fourth", timeout=DEADLINE)
    ended = log.await_event(TraceEnded)
    assert (ended.messages, ended.why) == (3, "count")
    seen = [(event.text, event.asked, event.message_type, event.error) for event in log.of(Traced)]
    assert seen == [("'told'", False, "str", ""), ("'asked'", True, "str", ""), ("'third'", True, "str", "")]
    assert all(event.seconds >= 0 for event in log.of(Traced))
    assert re.fullmatch(r"rt/a answered 'asked' in \d+\.\d+ ms", str(log.of(Traced)[1]))
    assert "_dispatch" not in vars(ref.actor)


def test_a_trace_ends_by_time_without_any_message(ref, log):
    """Nobody has to come by for it to end."""
    trace_messages(ref, seconds=0.02).get(timeout=DEADLINE)
    assert log.await_event(TraceEnded).why == "seconds"
    ref.ask("x", timeout=DEADLINE)
    assert log.of(Traced) == []


def test_a_trace_can_be_stopped_and_replaced(ref, log):
    """The time of the first does not end the second."""
    trace_messages(ref, seconds=0.03).get(timeout=DEADLINE)
    trace_messages(ref, seconds=60).get(timeout=DEADLINE)
    assert log.await_event(TraceEnded).why == "replaced"
    done = []
    ref.runtime.timer.after(0.05, lambda: done.append(1))
    await_true(lambda: done, "the time of the first is over")
    ref.actor.signal(_TraceOver(None))  # as if it had been on its way when the first was replaced
    ref.ask("x", timeout=DEADLINE)
    assert len(log.of(Traced)) == 1
    stop_trace(ref).get(timeout=DEADLINE)
    stop_trace(ref).get(timeout=DEADLINE)
    assert [event.why for event in log.of(TraceEnded)] == ["replaced", "stopped"]


def test_a_trace_tells_what_a_handler_raised(ref, log):
    """The last message of an actor is often the one that matters."""
    trace_messages(ref).get(timeout=DEADLINE)
    ref.tell(Do(crash))
    assert log.await_event(Traced).error == "ZeroDivisionError"


def test_a_trace_shows_what_the_actor_lets_be_seen_and_is_cut(stage, log):
    """Of secrets nothing, of long messages a part."""
    ref = stage.enter(Secretive())
    trace_messages(ref, text=60).get(timeout=DEADLINE)
    ref.ask({"user": "u", "password": "hunter2"}, timeout=DEADLINE)
    ref.ask("y" * 1000, timeout=DEADLINE)
    first, second = (event.text for event in log.of(Traced))
    assert "hunter2" not in first
    assert "'user': 'u'" in first
    assert len(second) <= 60


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"count": 0}, "Trace.count must be a whole number from 1 to 10000, got 0"),
        ({"count": 10_001}, "Trace.count"),
        ({"seconds": 0}, "Trace.seconds must be a finite number from 0.001 to 3600, got 0"),
        ({"seconds": float("nan")}, "Trace.seconds"),
        ({"seconds": float("inf")}, "Trace.seconds"),
        ({"text": 5}, "Trace.text must be a whole number from 10 to 2000, got 5"),
        ({"text": True}, "Trace.text"),
    ],
)
def test_a_trace_without_limits_cannot_be_asked_for(ref, arguments, complaint):
    """The error comes to the caller, not to the actor."""
    with pytest.raises(ValueError, match=re.escape(complaint)):
        trace_messages(ref, **arguments)


# ------------------------------------------------------------------------------------------- nobody is starved


@pytest.mark.parametrize("policy", [None, MailboxPolicy(limit=1000)])
def test_many_system_messages_do_not_starve_the_others(stage, make, policy):
    """Some are served at once, the rest behind the messages that wait; all are answered."""
    actor, order, gate = make(), [], threading.Event()
    if policy is not None:
        actor.use_mailbox(policy)
    ref = stage.enter(actor)
    ref.tell(Do(lambda _: gate.wait(DEADLINE)))
    await_true(lambda: actor._in_hand, "it is held up")
    for number in range(5):
        ref.tell(Do(lambda _, number=number: order.append(number)))
    questions = [get_state(ref) for _ in range(30)]
    for question in questions:
        question.add_done_callback(lambda _: order.append("state"))
    gate.set()
    for question in questions:
        question.get(timeout=DEADLINE)
    assert order == ["state"] * 8 + [0, 1, 2, 3, 4] + ["state"] * 22


def test_a_stop_does_not_wait_behind_system_messages(stage, make):
    """It is served in its turn among the signals, whatever was put behind the messages."""
    actor, gate = make(), threading.Event()
    ref = stage.enter(actor)
    ref.tell(Do(lambda _: gate.wait(DEADLINE)))
    await_true(lambda: actor._in_hand, "it is held up")
    waiting = [ref.request(number) for number in range(3)]
    questions = [get_state(ref) for _ in range(30)]
    actor.request_stop()
    gate.set()
    assert down_of(actor).get(timeout=DEADLINE).reason.kind is ExitKind.SHUTDOWN
    assert [future.done() for future in (*waiting, *questions)] == [True] * 33
    for future in waiting:
        with pytest.raises(NotHandledError):
            future.get(timeout=0)


def test_system_messages_of_pykka_references_work_too(ref):
    """An envelope with one is all it takes."""
    for message in (GetState(), GetStatistics(), Trace(1, 1.0, 50)):
        future = ReplyFuture()
        ref.actor.actor_inbox.put(Envelope(message, future))
        assert future.get(timeout=DEADLINE)
    stop_trace(ref).get(timeout=DEADLINE)
