"""The public tools for tests: virtual time, real actors under it, simulated trees, waiting for the look of a tree."""

import threading

import pykka
import pytest

from policies.backoff import Backoff
from supervisors import (
    ChildKind,
    ChildSpec,
    ExitKind,
    GiveUp,
    Intensity,
    Ladder,
    RestartPolicy,
    RestartType,
    Runtime,
    Strategy,
    Supervisor,
    SupervisorSpec,
    start_child,
    terminate_child,
)
from supervisors.core.transitions import TerminateChild
from supervisors.events import Abandoned, GaveUp, LadderRung, Restarting, ZombieEnded
from supervisors.testing import (
    DEADLINE,
    AsyncProbe,
    Behaviour,
    Do,
    EventLog,
    FakeClock,
    Gate,
    Journal,
    Probe,
    Simulation,
    SteppedRuntime,
    await_tree,
    await_true,
    is_held,
    tree_look,
)
from tests.supervisors.conftest import make_loop, threads

HOUR = 3600.0


@pytest.fixture
def stepped():
    """A runtime under virtual time that leaves nothing behind."""
    runtime = SteppedRuntime("rt")
    yield runtime
    assert runtime.stop()
    await_true(lambda: not threads(), f"threads of the runtime end: {threads()}")
    assert pykka.ActorRegistry.get_all() == []


def crash(_):
    raise ValueError("boom")


def sub(name, *children, **options):
    return ChildSpec(name, lambda: Supervisor(SupervisorSpec(children, **options)), kind=ChildKind.SUPERVISOR)


# ------------------------------------------------------------------------------------------------------- the clock


def test_timers_are_called_in_the_order_of_their_time_then_of_their_setting():
    """Each sees the time it was due at; what is not due yet waits."""
    clock, seen = FakeClock(100.0), []
    timers = clock.timers()
    for name, seconds in (("late", 5.0), ("b", 2.0), ("a", 1.0), ("b too", 2.0), ("never", 9.0)):
        timers.after(seconds, lambda name=name: seen.append((name, clock.monotonic())))
    clock.advance(5.0)
    assert seen == [("a", 101.0), ("b", 102.0), ("b too", 102.0), ("late", 105.0)]
    assert clock.monotonic() == 105.0
    assert clock.next_due() == 109.0


def test_what_a_timer_sets_within_the_stretch_is_called_as_well():
    """A retry every second happens three times in three seconds."""
    clock, seen = FakeClock(), []
    timers = clock.timers()

    def again():
        seen.append(clock.monotonic())
        timers.after(1.0, again)

    timers.after(1.0, again)
    clock.advance(3.0)
    assert seen == [1.0, 2.0, 3.0]


def test_cancelled_timers_and_those_of_a_closed_runtime_are_not_called():
    """Two runtimes on one clock: closing one leaves the timers of the other."""
    clock, seen = FakeClock(), []
    mine, others = clock.timers("mine"), clock.timers("others")
    mine.after(1.0, lambda: seen.append("cancelled")).cancel()
    mine.after(1.0, lambda: seen.append("closed"))
    others.after(1.0, lambda: seen.append("other"))
    mine.close()
    clock.advance(1.0)
    assert seen == ["other"]
    assert clock.next_due() is None


def test_sums_of_floats_miss_no_timer():
    """Ten steps of a tenth are a second."""
    clock, seen = FakeClock(), []
    clock.timers().at(1.0, lambda: seen.append(1))
    for _ in range(10):
        clock.advance(0.1)
    assert seen == [1]


def test_time_runs_until_something_has_come_true_and_no_further():
    """False when the limit has passed, also when nothing is left that could bring it about."""
    clock, seen = FakeClock(), []
    for second in (1.0, 2.0, 3.0):
        clock.timers().at(second, lambda second=second: seen.append(second))
    assert clock.run_until(lambda: 2.0 in seen)
    assert clock.monotonic() == 2.0
    assert not clock.run_until(lambda: 3.0 in seen, limit=0.5)
    assert clock.monotonic() == 2.5
    assert not clock.run_until(lambda: 4.0 in seen, limit=10.0)
    assert clock.monotonic() == 12.5
    assert seen == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("seconds", [-0.1, float("nan")])
def test_time_does_not_go_back(seconds):
    """The error names the value."""
    with pytest.raises(ValueError, match=r"at least 0.*got (-0\.1|nan)"):
        FakeClock().advance(seconds)


def test_a_plain_runtime_takes_its_time_from_its_clock():
    """Nothing happens before the clock is turned, however long it really takes."""
    clock, rang = FakeClock(), threading.Event()
    runtime = Runtime("rt", clock=clock)
    runtime.start(Probe())
    runtime.timer.after(HOUR, rang.set)
    clock.advance(HOUR - 1)
    assert not rang.is_set()
    clock.advance(1)
    assert rang.is_set()
    assert runtime.stop(DEADLINE)


# ------------------------------------------------------------------------------------- real actors, virtual time


def test_delayed_restarts_come_at_their_exact_time(stepped):
    """Real actors and threads: the third restart of a crash loop waits 4 s, not 3.99."""
    policy = RestartPolicy(
        Intensity(100, 5.0), Backoff(1.0, multiplier=2.0, max_delay=60.0, jitter=0.0), max_streak=None, immediate=0
    )
    journal, log = Journal(), EventLog(stepped)
    root = stepped.start(Supervisor(SupervisorSpec((ChildSpec("a", lambda: Probe(journal)),), restarts=policy)))
    for nth, delay in enumerate((1.0, 2.0, 4.0), start=1):
        stepped.ref("rt/a").tell(Do(crash))
        stepped.settle()
        assert log.of(Restarting)[-1].delay == delay
        stepped.advance(delay - 0.01)
        assert (tree_look(root), journal.entries().count("+a")) == ("a=restarting", nth)
        stepped.advance(0.01)
        assert (tree_look(root), journal.entries().count("+a")) == ("a=up", nth + 1)
    assert stepped.now() == pytest.approx(7.0)


def test_a_restart_window_is_as_long_as_it_says(stepped):
    """Three crashes in five seconds are too many; three in a little more are not."""
    log = EventLog(stepped)
    spec = SupervisorSpec((ChildSpec("a", Probe),), restarts=RestartPolicy.otp(2, 5.0))
    stepped.start(Supervisor(spec))
    for wait in (2.5, 2.6, 2.5):
        stepped.ref("rt/a").tell(Do(crash))
        stepped.advance(wait)
    assert log.of(GaveUp) == []
    assert stepped.ref("rt/a").is_up()
    for _ in range(2):
        stepped.ref("rt/a").tell(Do(crash))
        stepped.settle()
    assert [event.rule for event in log.of(GaveUp)] == ["intensity"]
    assert stepped.ended.get(timeout=0).kind is ExitKind.GAVE_UP


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_ladder_climbs_by_virtual_time(stepped, kind):
    """An actor held in a handler gets each rung at its second; no test waits for it."""
    log, gate = EventLog(stepped), Gate()
    child = ChildSpec(
        "a", Probe if kind == "thread" else lambda: AsyncProbe(make_loop()), ladder=Ladder(100, 20, 20, 9)
    )
    root = stepped.start(Supervisor(SupervisorSpec((child,))))
    actor = stepped.ref("rt/a").actor
    actor.ref.tell(Do(gate.hold))
    gate.await_held()
    ended = terminate_child(root, "a")
    stepped.advance(99.9)
    assert tree_look(root) == "a=stopping"
    assert log.of(LadderRung) == []
    stepped.advance(0.1)
    if kind == "async":
        await_true(ended.done, "it is cancelled")
        assert [event.rung for event in log.of(LadderRung)] == ["cancel"]
        assert not is_held(actor)
        return
    assert [event.rung for event in log.of(LadderRung)] == ["release"]
    assert stepped.run_until(ended.done)
    assert stepped.now() == pytest.approx(129.0)
    assert log.of(Abandoned, "rt/a")
    gate.open()
    log.await_event(ZombieEnded, "rt/a")


def test_a_start_that_takes_long_takes_virtual_time(stepped):
    """``start`` turns the clock until the tree is up; a limit that is too short is a timeout at that very second."""
    clock = stepped.fake_clock
    slow = ChildSpec("a", lambda: Probe(start=clock.sleeping(50), stop=clock.sleeping(4)))
    later = ChildSpec("b", lambda: AsyncProbe(make_loop(), start=clock.sleeping(5)))
    with pytest.raises(pykka.Timeout):
        stepped.start(Supervisor(SupervisorSpec((slow, later))), timeout=54.0)
    root = stepped.ref("rt")
    assert tree_look(root) == "a=up b=starting"
    stepped.advance(1.0)
    assert tree_look(root) == "a=up b=up"
    assert stepped.now() == 55.0
    assert stepped.stop()
    assert stepped.now() == 59.0


def test_a_start_that_takes_too_long_is_refused_at_its_second(stepped):
    """The start timeout of a child goes by the runtime's clock."""
    gate = Gate()
    root = stepped.start(Supervisor(SupervisorSpec()))
    asked = start_child(
        root, ChildSpec("a", lambda: Probe(start=gate.hold), start_timeout=60.0, ladder=Ladder(9, 0, 1))
    )
    gate.await_held()
    stepped.advance(69.9)
    assert not asked.done()
    stepped.run_until(asked.done)
    assert stepped.now() == pytest.approx(71.0)
    gate.open()


def test_who_never_comes_to_rest_is_named_with_its_stack(stepped):
    """So that a test with a forgotten endless loop does not hang, and says where it is."""
    over = threading.Event()

    def spin(_):
        while not over.is_set():
            pass

    ref = stepped.start(Probe())
    ref.tell(Do(spin))
    with pytest.raises(AssertionError, match=r"rt does not come to rest(.|\n)*in spin"):
        stepped.settle(timeout=0.2)
    stepped.let_be("rt")
    stepped.advance(5.0)
    over.set()
    stepped.let_be()
    stepped.settle()


def test_a_long_conversation_is_waited_for_to_its_end(stepped):
    """``settle`` returns only when no message is on its way, however often actors tell each other something."""
    count = 500

    def pass_on(actor):
        actor.hops = getattr(actor, "hops", 0) + 1
        if actor.hops < count:
            other = "rt/b" if actor.path == "rt/a" else "rt/a"
            actor.runtime.ref(other).tell(Do(pass_on))

    children = ChildSpec("a", Probe), ChildSpec("b", lambda: AsyncProbe(make_loop()))
    stepped.start(Supervisor(SupervisorSpec(children)))
    stepped.ref("rt/a").tell(Do(pass_on))
    stepped.settle()
    assert [stepped.ref(path).actor.hops for path in ("rt/a", "rt/b")] == [count, count - 1]


def test_settling_too_early_is_found(stepped, monkeypatch):
    """The twin: a ``settle`` that asks everybody only once misses messages on their way."""
    monkeypatch.setattr(SteppedRuntime, "_moved", lambda _self: None)
    with pytest.raises(AssertionError):
        _converse_often()


def _converse_often():
    for _ in range(20):
        runtime = SteppedRuntime("rt")
        try:
            test_a_long_conversation_is_waited_for_to_its_end(runtime)
        finally:
            runtime.ref("rt").actor.request_stop()
            runtime.ended.get(timeout=DEADLINE)
            runtime.stop()


# ------------------------------------------------------------------------------------------------ gates and looks


def test_a_gate_that_is_open_holds_nobody_and_one_that_opens_lets_all_go(runtime, stage, make):
    """It counts who came."""
    gate, actors = Gate(), [make() for _ in range(3)]
    for number, actor in enumerate(actors):
        stage.enter(actor, f"a{number}").tell(Do(gate.hold))
    gate.await_held(3)
    assert all(is_held(actor) for actor in actors)
    gate.open()
    assert not any(is_held(actor) for actor in actors)
    assert [actor.ref.ask("x", timeout=DEADLINE) for actor in actors] == ["x"] * 3
    assert actors[0].ref.ask(Do(gate.hold), timeout=DEADLINE) is None
    with pytest.raises(AssertionError, match="4 came to the gate"):
        gate.await_held(5, timeout=0.05)


def test_the_look_of_a_whole_tree_can_be_awaited(runtime):
    """Nested supervisors in brackets; a failure tells what was seen instead."""
    gate = Gate()
    slow = ChildSpec("slow", lambda: Probe(start=gate.hold))
    root = runtime.start(Supervisor(SupervisorSpec((ChildSpec("a", Probe), sub("s", ChildSpec("x", Probe), sub("t"))))))
    assert tree_look(root) == "a=up s=up(x=up t=up())"
    start_child(runtime.ref("rt/s"), slow)
    await_tree(root, "a=up s=up(x=up t=up() slow=starting)")
    with pytest.raises(AssertionError, match=r"looks like 'a=up s=up\(x=up t=up\(\) slow=starting\)', not like 'a=up'"):
        await_tree(root, "a=up", timeout=0.05)
    gate.open()
    await_tree(root, "a=up s=up(x=up t=up() slow=up)")
    assert tree_look(runtime.ref("rt/a")) == "down"


# ------------------------------------------------------------------------------------------------ simulated trees

NEVER = RestartPolicy.otp(0)


def never_called():
    raise AssertionError("a simulation starts no worker")


def worker(name, restart=RestartType.PERMANENT):
    return ChildSpec(name, never_called, restart)


def test_a_simulated_tree_does_what_the_real_one_would():
    """Start order, a group restart in a supervisor below, stop order: no thread anywhere."""
    before = threading.active_count()
    inner = sub("s", worker("x"), worker("y"), strategy=Strategy.ONE_FOR_ALL, restarts=RestartPolicy.otp(3))
    tree = Simulation(SupervisorSpec((worker("a"), inner, worker("b"))))
    tree.start()
    assert tree.trace == ["+a", "+s/x", "+s/y", "+s", "+b"]
    assert tree.look() == "a=up s=up(x=up y=up) b=up"
    tree.trace.clear()
    tree.crash("s/x")
    assert tree.trace == ["-s/y", "+s/x", "+s/y"]
    tree.trace.clear()
    assert tree.stop().kind is ExitKind.SHUTDOWN
    assert tree.trace == ["-b", "-s/y", "-s/x", "-s", "-a"]
    assert tree.look() == "down"
    assert threading.active_count() == before


def test_giving_up_escalates_through_a_simulated_tree():
    """Each level is restarted by the one above until its limit, the reason keeps the chain."""
    once = RestartPolicy.otp(1)
    inner = sub("s", worker("x"), restarts=NEVER)
    tree = Simulation(SupervisorSpec((worker("a"), inner), restarts=once))
    tree.start()
    tree.crash("s/x")
    assert tree.look() == "a=up s=up(x=up)"
    tree.crash("s/x")
    assert tree.exit is not None
    assert (tree.exit.kind, tree.exit.root.error_text) == (ExitKind.GAVE_UP, "boom")
    assert [event.path for _, event in tree.events if isinstance(event, GaveUp)] == [
        "system/s",
        "system/s",
        "system",
    ]


def test_simulated_children_take_their_time_and_refuse():
    """A browser that refuses three times, with a growing delay, is up after their sum."""
    slowly = RestartPolicy(
        Intensity(9, 5.0), Backoff(1.0, multiplier=2.0, max_delay=60.0, jitter=0.0), max_streak=None, immediate=0
    )
    tree = Simulation(
        SupervisorSpec((worker("a"), worker("browser")), restarts=slowly), {"browser": Behaviour(start_takes=2.0)}
    )
    tree.start()
    assert tree.look() == "a=up browser=starting"
    tree.advance(2.0)
    assert tree.look() == "a=up browser=up"
    tree.behave("browser", Behaviour(["refuse"] * 3, start_takes=2.0, stop_takes=5.0))
    tree.crash("browser")
    assert tree.clock.run_until(lambda: tree.look() == "a=up browser=up")
    assert tree.trace == ["+a", "+browser", "!browser", "!browser", "!browser", "+browser"]
    assert tree.clock.monotonic() == pytest.approx(2.0 + (1 + 2 + 4 + 8) + 4 * 2.0)
    before = tree.clock.monotonic()
    tree.stop()
    assert tree.clock.monotonic() == pytest.approx(before + 5.0)


def test_behaviour_below_and_requests_can_be_changed_in_mid_run():
    """By path; the answer to a request has its number."""
    tree = Simulation(
        SupervisorSpec((worker("a"), sub("s", worker("x"), restarts=RestartPolicy.otp(5)))),
        {"s/x": Behaviour(["decline"])},
    )
    tree.start()
    assert tree.look() == "a=up s=up(x=undefined)"
    assert tree.trace == ["+a", "?s/x", "+s"]
    tree.behave("s/x", Behaviour(then="refuse"))
    asked = tree.request(lambda number: TerminateChild(number, "a"))
    assert tree.replies[asked].error is None
    assert tree.look() == "a=undefined s=up(x=undefined)"
    assert tree.living() == ("s",)


def test_a_simulated_pause_takes_as_long_as_it_says():
    """An hour in no time."""
    spec = SupervisorSpec((worker("a"),), restarts=NEVER, on_give_up=GiveUp.PAUSE, pause=HOUR)
    tree = Simulation(spec)
    tree.start()
    tree.crash("a")
    tree.advance(HOUR - 1)
    assert tree.look() == "a=restarting"
    tree.advance(1)
    assert tree.look() == "a=up"


def test_a_simulation_says_what_was_asked_of_it_wrongly():
    """Paths that are not there, workers that are not up, outcomes nobody knows, a supervisor that is none."""
    tree = Simulation(SupervisorSpec((worker("a"), sub("s", worker("x")))))
    with pytest.raises(ValueError, match="system/a is not a worker that is up: a=undefined"):
        tree.crash("a")
    tree.start()
    with pytest.raises(ValueError, match="no supervisor lives above system/q/x: a=up"):
        tree.crash("q/x")
    with pytest.raises(ValueError, match="system/s is not a worker"):
        tree.crash("s")
    with pytest.raises(ValueError, match=r"Behaviour\.starts knows 'ok', 'refuse' and 'decline', got 'maybe'"):
        Behaviour(["maybe"])
    with pytest.raises(ValueError, match=r"Behaviour\.then knows"):
        Behaviour(then="never")
    with pytest.raises(ValueError, match=r"Behaviour\.stop_takes must be a number of seconds.*got -1"):
        Behaviour(stop_takes=-1)
    wrong = ChildSpec("s", lambda: "no supervisor", kind=ChildKind.SUPERVISOR)
    with pytest.raises(TypeError, match="child 's' of system is a supervisor, but its start made 'no supervisor'"):
        Simulation(SupervisorSpec((wrong,))).start()
