"""Supervisors on real actors: what the scenario table does not say, because it knows neither threads nor loops."""

import random
import threading

import pykka
import pytest

from supervisors import (
    AutoShutdown,
    ChildKind,
    ChildSpec,
    Down,
    ExitKind,
    ExitReason,
    Ladder,
    RestartPolicy,
    RestartType,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    delete_child,
    end_actor,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from supervisors.events import Abandoned, Ended, GaveUp, Restarting, Started, StartRefused
from supervisors.supervision import _ChildSignal
from supervisors.testing import DEADLINE, AsyncProbe, Do, Probe, await_children, await_true, down_of, tree_look
from tests.supervisors.conftest import make_loop

OFTEN = RestartPolicy.otp(10_000)
SOON = 0.05
QUICK = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=SOON)


def crash(_):
    raise ValueError("boom")


def worker(name, journal, **options):
    hooks = {key: options.pop(key) for key in ("start", "stop", "fail", "release") if key in options}
    return ChildSpec(name, lambda: Probe(journal, **hooks), **options)


def sub(name, spec, **options):
    return ChildSpec(name, lambda: Supervisor(spec), kind=ChildKind.SUPERVISOR, **options)


def spec(*children, **options):
    return SupervisorSpec(children, **{"restarts": OFTEN} | options)


def start(runtime, *children, **options):
    return runtime.start(Supervisor(spec(*children, **options)))


# ------------------------------------------------------------------------------------------------------ incarnations


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_crashed_child_is_restarted_as_a_new_incarnation(runtime, log, kind):
    """The events tell each incarnation once, with a number that grows."""
    make = Probe if kind == "thread" else lambda: AsyncProbe(make_loop())
    start(runtime, ChildSpec("a", make))
    for nth in range(2, 6):
        runtime.ref("rt/a").tell(Do(crash))
        log.await_event(Started, "rt/a", nth)
    numbers = [event.incarnation for event in log.of(Started, "rt/a")]
    assert numbers == sorted(set(numbers))
    assert len(log.of(Ended, "rt/a")) == len(log.of(Restarting, "rt/a")) == 4
    assert log.of(Ended)[0].reason.error_text == "boom"
    assert not log.of(Ended)[0].expected


def test_a_child_that_is_stuck_is_replaced_and_its_zombie_cannot_disturb_the_successor(runtime, log, journal):
    """Terminated by the ladder, restarted by hand: the late tell of the old one is fenced."""
    gate, entered = threading.Event(), threading.Event()
    root = start(runtime, worker("a", journal, ladder=QUICK), worker("b", journal))
    other = runtime.ref("rt/b")

    def hang(actor):
        entered.set()
        try:
            gate.wait()
        finally:
            other.tell(Do(lambda _: journal.add("late")))

    runtime.ref("rt/a").tell(Do(hang))
    assert entered.wait(DEADLINE)
    terminate_child(root, "a").get(timeout=DEADLINE)
    assert log.of(Abandoned, "rt/a")
    assert restart_child(root, "a").get(timeout=DEADLINE) == "a"
    assert runtime.ref("rt/a").ask("x", timeout=DEADLINE) == "x"
    gate.set()
    await_true(lambda: runtime.dead_letters["rt/b"] == 1, "its late message is dropped")
    await_true(lambda: not runtime.zombies(), "it is forgotten")
    assert "late" not in journal.entries()


def test_a_group_restart_gets_past_a_sibling_that_is_stuck(runtime, log, journal):
    """one_for_all: the ladder ends the sibling, then all come back, in order."""
    gate, entered = threading.Event(), threading.Event()
    start(runtime, worker("a", journal), worker("b", journal, ladder=QUICK), strategy=Strategy.ONE_FOR_ALL)
    runtime.ref("rt/b").tell(Do(lambda _: (entered.set(), gate.wait())))
    assert entered.wait(DEADLINE)
    runtime.ref("rt/a").tell(Do(crash))
    log.await_event(Started, "rt/b", 2)
    gate.set()
    assert [entry for entry in journal.entries() if entry[0] == "+"] == ["+a", "+b", "+a", "+b"]
    await_true(lambda: not runtime.zombies(), "the zombie ends")


# ---------------------------------------------------------------------------------------------------- never blocking


def test_a_supervisor_answers_while_a_child_starts_and_while_one_stops(runtime, journal):
    """Nobody waits for a slow child but who asked for it."""
    gate = threading.Event()
    slow = worker("slow", journal, start=lambda _: gate.wait(DEADLINE), stop=lambda _: gate.wait(DEADLINE))
    root = start(runtime, worker("a", journal))
    started = start_child(root, slow)
    await_children(root, "a=up slow=starting")
    runtime.ref("rt/a").tell(Do(crash))
    journal.await_entry("+a", 2)
    assert not started.done()
    gate.set()
    assert started.get(timeout=DEADLINE) == "slow"
    gate.clear()
    stopped = terminate_child(root, "slow")
    await_children(root, "a=up slow=stopping")
    with pytest.raises(SupervisorError) as error:
        delete_child(root, "slow").get(timeout=DEADLINE)
    assert error.value.code == "running"
    gate.set()
    stopped.get(timeout=DEADLINE)
    await_children(root, "a=up slow=undefined")


def test_a_child_may_ask_its_supervisor_while_it_starts(runtime):
    """The supervisor is not waiting for the child: no deadlock."""
    seen = []

    def look(actor):
        seen.extend(which_children(actor.runtime.ref("rt")).get(timeout=DEADLINE))

    start(runtime, ChildSpec("a", lambda: Probe(start=look)))
    assert [(row.id, row.status) for row in seen] == [("a", "starting")]


def test_a_stop_during_the_start_calls_the_start_off(runtime, journal):
    """The child that starts is stopped when it is up, those after it never start."""
    entered, gate = threading.Event(), threading.Event()
    slow = worker("b", journal, start=lambda _: entered.set() or gate.wait(DEADLINE))
    outcome = []

    def begin():
        try:
            start(runtime, worker("a", journal), slow, worker("c", journal))
        except RuntimeError as error:
            outcome.append(error)

    starter = threading.Thread(target=begin)
    starter.start()
    assert entered.wait(DEADLINE)
    stopper = threading.Thread(target=runtime.stop, args=(DEADLINE,))
    stopper.start()
    await_children(runtime.ref("rt"), "a=stopping b=stopping c=undefined")
    gate.set()
    starter.join(DEADLINE), stopper.join(DEADLINE)
    assert "did not start" in str(outcome[0])
    assert journal.entries() == ["+a", "+b", "-b", "-a"]


def test_an_unexpected_message_does_not_disturb_a_supervisor(runtime):
    """Neither a strange one nor a signal that is not for it."""
    from supervisors import Timeout

    root = start(runtime, ChildSpec("a", Probe))
    root.tell("what?")
    root.tell(Timeout("never set"))
    assert root.ask("what?", timeout=DEADLINE) is None
    await_children(root, "a=up")


def test_requests_to_a_supervisor_that_is_gone_fail_at_once(runtime):
    """No timeout is waited for."""
    root = start(runtime)
    assert runtime.stop(DEADLINE)
    for request in (which_children(root), terminate_child(root, "a"), start_child(root, ChildSpec("a", Probe))):
        assert request.done()
        with pytest.raises(pykka.ActorDeadError):
            request.get(timeout=0)


def test_late_news_of_an_attempt_that_is_over_are_not_heard(runtime):
    """They speak of another incarnation than the one that lives now."""
    root = start(runtime, ChildSpec("a", Probe))
    end = Down("rt/a", 1, ExitReason(ExitKind.ERROR))
    root.tell(_ChildSignal("a", 0, end))
    root.tell(_ChildSignal("nobody", 1, end))
    await_children(root, "a=up")
    assert runtime.ref("rt/a").is_up()


# ------------------------------------------------------------------------------------------------------------ starts


def test_a_child_that_is_not_ready_in_time_is_refused(runtime, log, journal):
    """The ladder ends it; the request is answered with the reason."""
    gate = threading.Event()
    root = start(runtime)
    hanging = worker("a", journal, start=lambda _: gate.wait(), start_timeout=SOON, ladder=QUICK)
    with pytest.raises(SupervisorError, match=r"not ready within 0\.05 s") as error:
        start_child(root, hanging).get(timeout=DEADLINE)
    assert error.value.code == "refused"
    assert error.value.reason.kind is ExitKind.ABANDONED
    assert log.of(StartRefused, "rt/a")
    gate.set()
    await_true(lambda: not runtime.zombies(), "it ends")


def test_an_async_child_that_is_not_ready_in_time_is_cancelled(runtime):
    """Nothing of it is left."""
    import asyncio

    root = start(runtime)
    hanging = ChildSpec(
        "a",
        lambda: AsyncProbe(make_loop(), start=lambda _: asyncio.sleep(3600)),
        start_timeout=SOON,
        ladder=Ladder(stop=SOON, cancel=DEADLINE),
    )
    with pytest.raises(SupervisorError) as error:
        start_child(root, hanging).get(timeout=DEADLINE)
    assert error.value.reason.kind is ExitKind.KILLED


def test_a_child_that_became_ready_is_not_hit_by_its_start_timeout(runtime, log):
    """The timer is cancelled; supervisors have none unless told."""
    root = start(runtime, ChildSpec("a", Probe, start_timeout=3600))
    assert root.actor._timers == {}
    assert [timer.cancelled for _, _, timer in runtime.timer._heap] == [True]
    assert ChildSpec("s", Probe, kind=ChildKind.SUPERVISOR).start_timeout == float("inf")
    assert ChildSpec("w", Probe).start_timeout == 60.0


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_a_start_function_that_raises_is_a_refused_start(runtime, error):
    """Whatever it raises: the supervisor lives on."""

    def make():
        raise error

    root = start(runtime, ChildSpec("a", Probe))
    with pytest.raises(SupervisorError) as refused:
        start_child(root, ChildSpec("b", make)).get(timeout=DEADLINE)
    assert (refused.value.code, refused.value.reason.error_type) == ("refused", type(error).__name__)
    await_children(root, "a=up")


@pytest.mark.parametrize("made", [Probe, "an actor", 7])
def test_a_start_function_that_makes_no_actor_is_a_refused_start(runtime, made):
    """The reason names the child and what was expected."""
    root = start(runtime)
    with pytest.raises(SupervisorError, match="start of child 'b' must make an Actor"):
        start_child(root, ChildSpec("b", lambda: made)).get(timeout=DEADLINE)


def test_an_actor_cannot_be_started_twice(runtime, log):
    """A start function that gives the same actor again is a mistake that says so, not a thread without an end."""
    actor = Probe()
    start(runtime, ChildSpec("a", lambda: actor), restarts=RestartPolicy.otp(1))
    actor.ref.tell(Do(crash))
    assert "must make a new Actor each time" in log.await_event(StartRefused, "rt/a").reason.error_text
    assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.GAVE_UP


@pytest.mark.parametrize("where", ["start function", "start hook"])
def test_a_child_that_always_refuses_does_not_starve_other_requests(runtime, where):
    """Each attempt goes through the mailbox, requests have their turn in between."""
    refuse = []

    def make():
        if refuse and where == "start function":
            raise ValueError("no")
        return Probe(start=crash if refuse else None)

    root = start(runtime, ChildSpec("a", make), restarts=RestartPolicy.otp(1_000_000))
    refuse.append(1)
    runtime.ref("rt/a").tell(Do(crash))
    for _ in range(20):
        assert which_children(root).get(timeout=DEADLINE)[0].status in ("up", "restarting", "starting")
    terminate_child(root, "a").get(timeout=DEADLINE)
    await_children(root, "a=undefined")


# ------------------------------------------------------------------------------------------------------------- trees


def test_a_nested_supervisor_is_ready_when_its_tree_is(runtime, journal):
    """The sibling after it waits for the whole subtree."""
    gate, entered = threading.Event(), threading.Event()
    inner = spec(worker("x", journal), worker("y", journal, start=lambda _: entered.set() or gate.wait(DEADLINE)))
    starter = threading.Thread(target=start, args=(runtime, sub("s", inner), worker("b", journal)))
    starter.start()
    assert entered.wait(DEADLINE)
    await_children(runtime.ref("rt"), "s=starting b=undefined")
    gate.set()
    starter.join(DEADLINE)
    assert journal.entries() == ["+x", "+y", "+b"]
    assert [row.kind for row in which_children(runtime.ref("rt")).get(timeout=DEADLINE)] == ["supervisor", "worker"]


def test_giving_up_escalates_level_by_level(runtime, log, journal):
    """Each level restarts the one below, until the root ends with the whole chain of causes."""
    never = RestartPolicy.otp(0)
    once = RestartPolicy.otp(1)
    inner = SupervisorSpec((worker("x", journal),), restarts=never)
    middle = SupervisorSpec((sub("inner", inner),), restarts=once)
    runtime.start(Supervisor(SupervisorSpec((worker("a", journal), sub("middle", middle)), restarts=never)))
    for nth in range(1, 3):
        journal.await_entry("+x", nth)
        await_true(lambda: runtime.ref("rt/middle/inner/x").is_up(), "x is up")
        runtime.ref("rt/middle/inner/x").tell(Do(crash))
        journal.await_entry("!x", nth)
    reason = runtime.ended.get(timeout=DEADLINE)
    assert reason.kind is ExitKind.GAVE_UP
    assert reason.root.error_text == "boom"
    assert [event.path for event in log.of(GaveUp)] == [
        "rt/middle/inner",
        "rt/middle/inner",
        "rt/middle",
        "rt",
    ]
    assert journal.entries()[-1] == "-a"


def test_a_significant_child_ends_the_tree_and_its_value_can_be_read(runtime, journal):
    """Everything stops in order; the verdict is in the reason of the root."""
    judge = worker("judge", journal, restart=RestartType.TRANSIENT, significant=True)
    start(runtime, worker("a", journal), judge, worker("b", journal), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    runtime.ref("rt/judge").tell(Do(lambda _: end_actor({"verdict": "abort"})))
    reason = runtime.ended.get(timeout=DEADLINE)
    assert reason.kind is ExitKind.SHUTDOWN
    assert reason.value.value == {"verdict": "abort"}
    assert journal.entries() == ["+a", "+judge", "+b", "-judge", "-b", "-a"]


@pytest.mark.parametrize("how", ["exception", "kill", "start"])
def test_a_supervisor_that_crashes_takes_its_subtree_along(runtime, log, journal, how):
    """Before its parent hears of it: the new subtree never meets the old one."""

    class Frail(Supervisor):
        def on_receive(self, message):
            if message == "crash":
                raise ValueError("a bug in the supervisor")
            return super().on_receive(message)

        def announce_ready(self):
            if how == "start" and journal.entries().count("+x") == 1:
                raise ValueError("a bug at the start")
            super().announce_ready()

    inner = spec(worker("x", journal), worker("y", journal))
    frail = ChildSpec("s", lambda: Frail(inner), kind=ChildKind.SUPERVISOR)
    root = start(runtime, worker("a", journal))
    begun = start_child(root, frail)
    if how == "start":
        with pytest.raises(SupervisorError, match="a bug at the start"):
            begun.get(timeout=DEADLINE)
        assert sorted(journal.entries()[3:]) == ["-x", "-y"]
        return
    begun.get(timeout=DEADLINE)
    pending = runtime.ref("rt/s").request(Do(lambda _: None))
    pending.get(timeout=DEADLINE)
    if how == "kill":
        runtime.ref("rt/s").actor.inject(ExitReason(ExitKind.KILLED))
    else:
        runtime.ref("rt/s").tell("crash")
    log.await_event(Started, "rt/s", 2)
    entries = journal.entries()
    assert sorted(entries[3:5]) == ["-x", "-y"]
    assert entries[5:] == ["+x", "+y"]
    assert {event.path for event in log.of(Started)} == {"rt/a", "rt/s", "rt/s/x", "rt/s/y"}


def test_a_request_to_a_supervisor_that_crashes_meanwhile_is_answered(runtime, journal):
    """The start that was under way is called off, who asked for it is told."""
    gate, entered = threading.Event(), threading.Event()
    slow = worker("slow", journal, start=lambda _: entered.set() or gate.wait(DEADLINE))
    root = start(runtime)
    asked = start_child(root, slow)
    assert entered.wait(DEADLINE)
    await_children(root, "slow=starting")
    root.actor.inject(ExitReason(ExitKind.KILLED))
    with pytest.raises(pykka.ActorDeadError, match="crashed"):
        asked.get(timeout=DEADLINE)
    gate.set()
    assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.KILLED
    assert journal.entries() == ["+slow", "-slow"]


def test_the_children_of_a_supervisor_that_is_stuck_end_and_it_starts_none_any_more(runtime, log, journal):
    """It is abandoned in a start function that blocks; when that returns, its place belongs to its successor."""
    gate, entered = threading.Event(), threading.Event()
    late = Probe(journal)

    def block():
        entered.set()
        gate.wait(2 * DEADLINE)
        return late

    patience = Ladder(stop=SOON, cancel=SOON, release=SOON, exception=0)
    root = start(runtime, sub("s", spec(worker("x", journal)), ladder=patience))
    begun = start_child(runtime.ref("rt/s"), ChildSpec("late", block))
    assert entered.wait(DEADLINE)
    terminate_child(root, "s").get(timeout=DEADLINE)
    assert log.await_event(Abandoned, "rt/s").stack
    await_true(lambda: journal.entries() == ["+x", "-x"], "the child ends although its supervisor is stuck")
    restart_child(root, "s").get(timeout=DEADLINE)
    gate.set()
    await_true(lambda: not runtime.zombies(), "the supervisor comes back from its start function, and ends")
    with pytest.raises(pykka.ActorDeadError, match="abandoned"):
        begun.get(timeout=DEADLINE)
    assert not late.bound
    assert tree_look(root) == "s=up(x=up)"


def test_a_supervisor_with_little_patience_is_given_up_visibly(runtime, log, journal):
    """A finite ladder on a supervisor whose child needs longer: the leak is reported, and ends with the child."""
    gate, entered = threading.Event(), threading.Event()
    slow = worker("x", journal, stop=lambda _: entered.set() or gate.wait(DEADLINE), ladder=Ladder(stop=DEADLINE))
    root = start(runtime, sub("s", spec(slow), ladder=QUICK))
    terminate_child(root, "s").get(timeout=DEADLINE)
    assert entered.wait(DEADLINE)
    assert log.await_event(Abandoned, "rt/s").stack
    assert [path.partition("#")[0] for path in runtime.zombies()] == ["rt/s"]
    gate.set()
    await_true(lambda: not runtime.zombies(), "the subtree ends")
    assert journal.entries() == ["+x", "-x"]


# ------------------------------------------------------------------------------------------------------------- stops


def test_children_stop_one_after_another_in_reverse(runtime, journal):
    """The next is asked when the one before is down."""
    slow = [worker(name, journal, stop=lambda actor: actor.journal.add(f".{actor.path[-1]}")) for name in "abc"]
    start(runtime, *slow)
    assert runtime.stop(DEADLINE)
    assert journal.entries() == ["+a", "+b", "+c", "-c", ".c", "-b", ".b", "-a", ".a"]


def test_the_children_of_a_pool_stop_side_by_side(runtime, journal):
    """Each waits until all have been asked: one after another they would never end."""
    together = threading.Barrier(5)
    pool = start(runtime, pool=True)
    for number in range(5):
        child = worker(str(number), journal, stop=lambda _: together.wait(DEADLINE), ladder=Ladder(stop=2 * DEADLINE))
        start_child(pool, child).get(timeout=DEADLINE)
    assert runtime.stop(2 * DEADLINE)
    assert sorted(journal.entries()[5:]) == [f"-{number}" for number in range(5)]


def test_a_stop_gets_past_every_stuck_child(runtime, log, journal):
    """Idle, spinning, blocked and deaf children: all are down, and those that could be freed left no thread."""
    gate, entered = threading.Event(), threading.Barrier(3)

    def deaf(_):
        entered.wait(DEADLINE)
        gate.wait()

    def spin(_):
        entered.wait(DEADLINE)
        while True:
            sum(range(100))

    start(
        runtime,
        worker("idle", journal),
        worker("spinning", journal, ladder=Ladder(stop=SOON, cancel=SOON, release=SOON, exception=DEADLINE)),
        worker("deaf", journal, ladder=QUICK),
        worker("last", journal),
    )
    runtime.ref("rt/spinning").tell(Do(spin))
    runtime.ref("rt/deaf").tell(Do(deaf))
    entered.wait(DEADLINE)
    assert runtime.stop(DEADLINE)
    assert [event.path for event in log.of(Ended)] == ["rt/last", "rt/deaf", "rt/spinning", "rt/idle"]
    assert [event.reason.kind.value for event in log.of(Ended)] == ["shutdown", "abandoned", "killed", "shutdown"]
    assert all(event.expected for event in log.of(Ended))
    assert len(runtime.zombies()) == 1
    gate.set()
    await_true(lambda: not runtime.zombies(), "the last zombie ends")


def test_a_supervisor_that_is_stopped_the_way_of_pykka_stops_its_tree(runtime, journal):
    """``ref.stop()`` of Pykka is a stop request like any other, and returns when the tree is down."""
    root = start(runtime, worker("a", journal), worker("b", journal))
    assert root.actor.actor_ref.stop(block=True, timeout=DEADLINE) is True
    assert journal.entries() == ["+a", "+b", "-b", "-a"]
    assert runtime.ended.get(timeout=DEADLINE).kind is ExitKind.SHUTDOWN


# ------------------------------------------------------------------------------------------------------------ stress


def test_children_that_crash_all_the_time_come_back_every_time(runtime, log):
    """Random crashes of every kind from several threads, then all are up, and every incarnation had one end."""
    names = [f"w{number}" for number in range(6)]
    loop_children = [f"l{number}" for number in range(3)]
    root = start(
        runtime,
        *(ChildSpec(name, Probe) for name in names),
        *(ChildSpec(name, lambda: AsyncProbe(make_loop())) for name in loop_children),
        restarts=RestartPolicy.otp(1_000_000),
    )
    blows = [crash, lambda _: end_actor(), lambda _: (_ for _ in ()).throw(SystemExit(1))]

    def strike(seed):
        chance = random.Random(seed)
        for _ in range(60):
            ref = runtime.ref(f"rt/{chance.choice(names + loop_children)}")
            if chance.random() < 0.5:
                ref.tell(Do(chance.choice(blows)))
            else:
                ref.request(Do(chance.choice(blows)))

    strikers = [threading.Thread(target=strike, args=(seed,)) for seed in range(3)]
    for striker in strikers:
        striker.start()
    for striker in strikers:
        striker.join(DEADLINE)
    await_children(root, " ".join(f"{name}=up" for name in names + loop_children))
    for name in names + loop_children:
        assert runtime.ref(f"rt/{name}").ask("x", timeout=DEADLINE) == "x"
        started, ended = log.of(Started, f"rt/{name}"), log.of(Ended, f"rt/{name}")
        assert len(started) == len(ended) + 1 == len({event.incarnation for event in started})


def test_actors_watch_places_over_restarts(runtime):
    """One ``Down`` per watch; whoever wants the next one watches again."""
    start(runtime, ChildSpec("a", Probe), ChildSpec("b", Probe))
    ref, watcher = runtime.ref("rt/a"), runtime.ref("rt/b").actor
    for nth in range(1, 4):
        watcher.ref.ask(Do(lambda actor: actor.watch(ref)), timeout=DEADLINE)
        down = down_of(ref.actor)
        ref.tell(Do(crash))
        down.get(timeout=DEADLINE)
        await_true(lambda nth=nth: len(watcher.signals) == nth, "it hears")
        await_true(ref.is_up, "the next one is there")
    assert len({signal.incarnation for signal in watcher.signals}) == 3
