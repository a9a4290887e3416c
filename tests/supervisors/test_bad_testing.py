"""What a test asks wrongly of the tools of ``supervisors.testing`` is refused, instead of being waited for in vain."""

import math
import re

import pytest

from supervisors import ChildKind, ChildSpec, RestartPolicy, Supervisor, SupervisorSpec
from supervisors.core.transitions import StartChild
from supervisors.events import Started
from supervisors.testing import (
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
    await_children,
    await_tree,
    await_true,
    down_of,
    is_held,
    ready_of,
    tree_look,
)

NO_TIME = ("5", None, -1, math.nan, True, 10**400)
NO_FUNCTION = (5, "print")
NO_REF = (None, "rt", 5)
NO_ACTOR = (None, "rt", Probe)
NO_COUNT = (None, 0, -1, 1.0, True, "1")

SPEC = SupervisorSpec(
    [
        ChildSpec("a", lambda: None),
        ChildSpec("s", lambda: Supervisor(SupervisorSpec([ChildSpec("x", lambda: None)])), kind=ChildKind.SUPERVISOR),
    ],
    restarts=RestartPolicy.otp(9),
)


def started():
    """A simulation that runs."""
    tree = Simulation(SPEC)
    tree.start()
    return tree


CALLS = [
    ("await_true: condition", (None, *NO_FUNCTION), lambda _, value: await_true(value, "it is")),
    ("await_true: timeout", NO_TIME, lambda _, value: await_true(lambda: True, "it is", value)),
    ("await_children: supervisor", NO_REF, lambda _, value: await_children(value, "a=up")),
    ("await_children: look", (None, 5), lambda root, value: await_children(root, value)),
    ("await_children: timeout", NO_TIME, lambda root, value: await_children(root, "", value)),
    ("await_tree: supervisor", NO_REF, lambda _, value: await_tree(value, "a=up")),
    ("await_tree: look", (None, 5), lambda root, value: await_tree(root, value)),
    ("await_tree: timeout", NO_TIME, lambda root, value: await_tree(root, "", value)),
    ("tree_look: supervisor", NO_REF, lambda _, value: tree_look(value)),
    ("what is waited for", NO_ACTOR, lambda _, value: ready_of(value)),
    ("what is waited for", NO_ACTOR, lambda _, value: down_of(value)),
    ("is_held: actor", NO_ACTOR, lambda _, value: is_held(value)),
    ("Journal.add: entry", (None, 5), lambda _, value: Journal().add(value)),
    ("Journal.await_entry: entry", (None, 5), lambda _, value: Journal().await_entry(value)),
    ("Journal.await_entry: count", NO_COUNT, lambda _, value: Journal().await_entry("x", value)),
    ("Journal.await_entry: timeout", NO_TIME, lambda _, value: Journal().await_entry("x", 1, value)),
    ("EventLog.runtime", (None, "rt"), lambda _, value: EventLog(value)),
    ("EventLog.of: kind", (None, "started", Probe), lambda root, value: EventLog(root.runtime).of(value)),
    ("EventLog.of: path", (5, ["rt"]), lambda root, value: EventLog(root.runtime).of(Started, value)),
    ("EventLog.await_event: kind", (None, "started"), lambda root, value: EventLog(root.runtime).await_event(value)),
    (
        "EventLog.await_event: count",
        NO_COUNT,
        lambda root, value: EventLog(root.runtime).await_event(Started, count=value),
    ),
    (
        "EventLog.await_event: timeout",
        NO_TIME,
        lambda root, value: EventLog(root.runtime).await_event(Started, timeout=value),
    ),
    ("Do.function", (None, *NO_FUNCTION), lambda _, value: Do(value)),
    ("the journal of a probe", ("x", []), lambda _, value: Probe(value)),
    ("the start hook of a probe", (*NO_FUNCTION, Gate()), lambda _, value: Probe(start=value)),
    ("the release hook of a probe", NO_FUNCTION, lambda _, value: Probe(release=value)),
    ("AsyncProbe.loop", (None, Journal()), lambda _, value: AsyncProbe(value)),
    ("Gate.hold: actor", NO_ACTOR, lambda _, value: Gate().hold(value)),
    ("Gate.await_held: count", NO_COUNT, lambda _, value: Gate().await_held(value)),
    ("Gate.await_held: timeout", NO_TIME, lambda _, value: Gate().await_held(1, value)),
    ("FakeClock.start", ("0", None, math.nan, math.inf, True), lambda _, value: FakeClock(value)),
    ("FakeClock.advance: seconds", (*NO_TIME, math.inf), lambda _, value: FakeClock().advance(value)),
    ("FakeClock.advance: settle", (None, *NO_FUNCTION), lambda _, value: FakeClock().advance(1, value)),
    ("FakeClock.run_until: done", (None, *NO_FUNCTION), lambda _, value: FakeClock().run_until(value)),
    ("FakeClock.run_until: limit", NO_TIME, lambda _, value: FakeClock().run_until(lambda: True, value)),
    ("FakeClock.run_until: settle", NO_FUNCTION, lambda _, value: FakeClock().run_until(lambda: True, 1, value)),
    ("FakeClock.sleeping: seconds", NO_TIME, lambda _, value: FakeClock().sleeping(value)),
    ("FakeTimers.after: seconds", ("5", None, math.nan), lambda _, value: FakeClock().timers().after(value, print)),
    ("FakeTimers.at: when", ("5", None, math.nan), lambda _, value: FakeClock().timers().at(value, print)),
    ("FakeTimers.at: function", (None, *NO_FUNCTION), lambda _, value: FakeClock().timers().after(1, value)),
    ("SteppedRuntime.clock", (5, "now"), lambda _, value: SteppedRuntime("other", value)),
    ("Simulation.spec", (None, "x", [ChildSpec("a", Probe)]), lambda _, value: Simulation(value)),
    ("Simulation.behaviour", (5, ["a"], "a"), lambda _, value: Simulation(SPEC, value)),
    ("Simulation.behaviour: child", ("", 5, "s/", "/x"), lambda _, value: Simulation(SPEC, {value: Behaviour()})),
    ("Simulation.behaviour of 'a'", (None, "refuse"), lambda _, value: Simulation(SPEC, {"a": value})),
    ("Simulation.clock", (5, "now"), lambda _, value: Simulation(SPEC, clock=value)),
    ("Simulation.path", (None, 5), lambda _, value: Simulation(SPEC, path=value)),
    ("Simulation.seed", (None, "x", 1.5), lambda _, value: Simulation(SPEC, seed=value)),
    ("Simulation.step", (None, *NO_FUNCTION), lambda _, value: Simulation(SPEC, step=value)),
    ("Simulation.behave: child", (None, "", 5, "s/"), lambda _, value: started().behave(value, Behaviour())),
    ("Simulation.behave of 'a'", (None, "refuse"), lambda _, value: started().behave("a", value)),
    ("Simulation.end: reason", (None, "crash"), lambda _, value: started().end("a", reason=value)),
    ("the path of a child", (None, 5), lambda _, value: started().crash(value)),
    ("Simulation.request: make", (None, *NO_FUNCTION), lambda _, value: started().request(value)),
    ("FakeClock.advance: seconds", NO_TIME, lambda _, value: started().advance(value)),
    ("FakeClock.run_until: limit", NO_TIME, lambda _, value: started().stop(value)),
    ("Behaviour.starts", (None, "refuse", 5), lambda _, value: Behaviour(value)),
    ("Behaviour.stop_takes", NO_TIME, lambda _, value: Behaviour(stop_takes=value)),
]


@pytest.fixture
def root(runtime):
    return runtime.start(Supervisor(SupervisorSpec()))


@pytest.mark.parametrize(("name", "values", "call"), CALLS, ids=[name for name, _, _ in CALLS])
def test_a_bad_argument_is_named_at_once(root, name, values, call):
    """With the value, and what it must be."""
    for value in values:
        with pytest.raises(ValueError, match=f"^{re.escape(name)}.* must be ") as caught:
            call(root, value)
        assert str(caught.value).endswith(f"got {value!r}")


def test_outcomes_are_known_words():
    """Also a list in place of a word, which no start was ever equal to."""
    for value in (5, None, ["refuse"], "maybe"):
        with pytest.raises(ValueError, match=r"Behaviour\.then knows 'ok', 'refuse' and 'decline', got"):
            Behaviour(then=value)
        with pytest.raises(ValueError, match=r"Behaviour\.starts knows 'ok', 'refuse' and 'decline', got"):
            Behaviour([value])


def test_a_simulation_starts_once_and_answers_nobody_before():
    """A second start would have looked as if it had begun anew."""
    tree = Simulation(SPEC)
    with pytest.raises(RuntimeError, match=r"system is not started.*start\(\) comes first"):
        tree.request(lambda number: StartChild(number, ChildSpec("b", lambda: None)))
    tree.start()
    with pytest.raises(RuntimeError, match="system was started already: make a new Simulation"):
        tree.start()
    assert tree.look() == "a=up s=up(x=up)"
    assert tree.trace == ["+a", "+s/x", "+s"]


@pytest.mark.parametrize("child", ["b", "a/x", "s/y", "q/x"])
def test_a_child_that_is_not_there_has_no_behaviour(child):
    """A slip of the pen would look like a child that always starts well."""
    tree = started()
    with pytest.raises(ValueError, match=f"/{child.rpartition('/')[2]} is not there: "):
        tree.behave(child, Behaviour(then="refuse"))
    tree.crash("a")
    assert tree.look() == "a=up s=up(x=up)"


def test_the_behaviour_of_a_child_to_come_is_told_to_the_constructor():
    """It is known then, and may be changed."""
    tree = Simulation(SPEC, {"b": Behaviour(["refuse"])})
    tree.start()
    tree.behave("b", Behaviour(["decline"]))
    tree.request(lambda number: StartChild(number, ChildSpec("b", lambda: None)))
    assert tree.trace[-1] == "?b"


def test_behaviour_below_a_supervisor_that_is_down_is_for_its_next_life():
    """What it has below is only known when it has started."""
    tree = Simulation(SPEC)
    tree.behave("s/x", Behaviour(["decline"]))
    tree.start()
    assert tree.look() == "a=up s=up(x=undefined)"


def test_time_without_end_ends_when_nothing_is_left_to_come():
    """And the clock stands still: it still tells a time afterwards."""
    clock, rung = FakeClock(), []
    clock.timers().after(5, lambda: rung.append(clock.monotonic()))
    clock.timers().after(math.inf, lambda: rung.append("never"))
    assert not clock.run_until(lambda: False, math.inf)
    assert rung == [5.0]
    assert clock.monotonic() == 5.0
    runtime = SteppedRuntime("other", clock)
    assert runtime.start(Probe(), math.inf).is_up()
    assert runtime.stop(math.inf)


def test_a_look_at_no_children_asks_the_supervisor(root):
    """It did not, and so passed for one that is down."""
    await_children(root, "")
    assert root.runtime.stop()
    with pytest.raises(Exception, match="rt is down"):
        await_children(root, "")
