"""Random supervisors in random histories: what must hold whatever happens."""

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.backoff import Backoff
from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from supervisors.core import step
from supervisors.core.state import Phase, Status, SupervisorState
from supervisors.core.transitions import (
    ChildDown,
    ChildReady,
    ChildRefused,
    Command,
    CoreEvent,
    DeleteChild,
    Exit,
    InitDone,
    ResetRestarts,
    RestartChild,
    SetTimer,
    StartActor,
    StopActor,
    StopRequested,
    TerminateChild,
    TimerFired,
)
from supervisors.events import GaveUp, Leaked, Restarting
from supervisors.exits import SHUTDOWN, ExitKind
from supervisors.spec import AutoShutdown, GiveUp
from tests.supervisors.core_runner import CRASH, CoreRunner, World
from tests.supervisors.scenarios import Kid, Tree
from tests.supervisors.scenarios.vocabulary import LADDER_TAKES

RANDOM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
IDS = "abcde"
EIGHTHS = st.integers(0, 40).map(lambda k: k / 8)
"""Times on a grid that floats hit exactly."""
TAKES = st.sampled_from((0.0, 0.0, 0.125, 0.5))


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    pool = draw(st.sampled_from((False, False, False, True)))
    auto = AutoShutdown.NEVER if pool else draw(st.sampled_from(AutoShutdown))
    limit = Intensity(draw(st.sampled_from((0, 1, 2, 3, 100))), draw(st.sampled_from((1.0, 5.0))))
    slow = RestartPolicy(limit, Backoff(0.125, 2.0, 1.0, jitter=0.5), stable_after=2.0, max_streak=3)
    options: dict[str, Any] = {
        "strategy": Strategy.ONE_FOR_ONE if pool else draw(st.sampled_from(Strategy)),
        "auto_shutdown": auto,
        "restarts": draw(st.sampled_from((RestartPolicy.otp(limit), RestartPolicy.otp(limit), slow))),
        "on_give_up": draw(st.sampled_from((GiveUp.END, GiveUp.END, GiveUp.PAUSE))),
        "pause": 3.0,
        "pool": pool,
        "parallel_stop": draw(st.sampled_from((False, False, True))),
    }
    return Tree(tuple(draw(kids(name, auto)) for name in IDS[: draw(st.integers(0, 4))]), options)


@st.composite
def kids(draw: st.DrawFn, name: str, auto: AutoShutdown = AutoShutdown.NEVER) -> Kid:
    restart = draw(st.sampled_from((RestartType.PERMANENT, *RestartType)))
    significant = auto is not AutoShutdown.NEVER and restart is not RestartType.PERMANENT and draw(st.booleans())
    starts = draw(st.lists(st.sampled_from(("ok", "ok", "refuse", "decline")), max_size=3))
    init_is_fine = ["ok"] * draw(st.integers(0, 1))
    stops = draw(st.sampled_from(("shutdown", "shutdown", "shutdown", "crash", "never")))
    return Kid(name, restart, significant, (*init_is_fine, *starts), draw(TAKES), draw(TAKES), stops)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("kill"), st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique=True)),
        st.tuples(st.just("kill"), st.lists(st.sampled_from(IDS), min_size=1, max_size=1)),
        st.tuples(st.just("end"), st.sampled_from(IDS)),
        st.tuples(st.just("refuse"), st.sampled_from(IDS)),
        st.tuples(st.just("advance"), EIGHTHS),
        st.tuples(st.just("advance"), st.sampled_from((0.0, 0.125, 0.25))),
        st.tuples(st.just("terminate"), st.sampled_from(IDS)),
        st.tuples(st.just("restart"), st.sampled_from(IDS)),
        st.tuples(st.just("delete"), st.sampled_from(IDS)),
        st.tuples(st.just("start"), st.sampled_from(IDS).flatmap(kids)),
        st.tuples(st.just("late"), st.sampled_from(IDS)),
        st.tuples(st.just("reset"), st.sampled_from((*IDS, None))),
    ),
    max_size=25,
)


class Watcher(CoreRunner):
    """A runner that checks on each step what must always hold."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(World(), tree, step=self.checked_step)
        self.cleared = False
        """The restarts were forgotten by request."""

    def checked_step(
        self, state: SupervisorState, event: CoreEvent, now: float, rng: random.Random
    ) -> tuple[SupervisorState, tuple[Command, ...]]:
        seed = rng.random()
        after, commands = step(state, event, now, random.Random(seed))
        again, the_same = step(state, event, now, random.Random(seed))
        assert again == after, "a step changed the state it started from"
        assert repr(the_same) == repr(commands)
        living = set(self._living) - ({event.child} if isinstance(event, ChildDown | ChildRefused) else set())
        for command in commands:
            if isinstance(command, StopActor):
                self.check_stop(after, command, living)
            elif isinstance(command, StartActor):
                self.check_start(state, after, command, living)
        return after, commands

    def check_stop(self, state: SupervisorState, stop: StopActor, living: set[str]) -> None:
        """A child that is stopped with others is the last of them that lives."""
        with_others = "restarts with" in stop.reason.detail or "ends" in stop.reason.detail
        if with_others and not self.spec.stops_together:
            assert stop.child == max(living, key=lambda name: position(state, name))

    def check_start(self, before: SupervisorState, state: SupervisorState, start: StartActor, living: set[str]) -> None:
        """No child starts by itself while one that comes after it runs; in init, while any other starts."""
        name = start.spec.id
        row = state.children.get(name)
        assert before.phase in (Phase.NEW, Phase.INIT, Phase.RUNNING)
        if self.spec.pool or self.spec.strategy is Strategy.ONE_FOR_ONE or row is None or row.starter is not None:
            return
        for other in living:
            there = state.children.get(other)
            if there is not None and there.position > row.position:
                assert there.status is Status.STOPPING, f"{name} starts while {other} is {there.status}"


def position(state: SupervisorState, name: str) -> int:
    row = state.children.get(name)
    return -1 if row is None else row.position


def operate(runner: Watcher, operations: list[tuple[str, Any]]) -> None:
    for what, argument in operations:
        if runner.exit is not None:
            break
        match what:
            case "kill":
                runner.kill(argument)
            case "end":
                runner.kill(argument, "normal")
            case "refuse":
                runner.next_starts(argument, ("refuse", "refuse"))
            case "advance":
                runner.world.advance(argument)
            case "terminate":
                runner.request(lambda n, child=argument: TerminateChild(n, child))
            case "restart":
                runner.request(lambda n, child=argument: RestartChild(n, child))
            case "delete":
                runner.request(lambda n, child=argument: DeleteChild(n, child))
            case "reset":
                runner.cleared = runner.cleared or argument is None
                runner.request(lambda n, child=argument: ResetRestarts(n, child))
            case "start":
                runner.add(argument)
            case "late":
                send_late_news(runner, argument)


def send_late_news(runner: Watcher, name: str) -> None:
    """News of attempts that are over, and timers that were cancelled too late, start and stop nothing."""
    row = runner.state.children.get(name)
    attempt = row.attempt if row is not None else 1
    old = attempt - 1 if row is not None and row.status.alive else attempt
    for event in (ChildReady(name, old), ChildRefused(name, old, CRASH), ChildDown(name, old, CRASH)):
        state, commands = step(runner.state, event, runner.world.now, random.Random(0))
        assert commands == ()
        assert state == runner.state
    for timer in ("plan", f"restart/{name}", "unknown"):
        due = runner.state.plan.due if timer == "plan" and runner.state.plan else row and row.due
        if due is None or due > runner.world.now:
            state, commands = step(runner.state, TimerFired(timer), runner.world.now, random.Random(0))
            assert all(isinstance(command, SetTimer) for command in commands)
            assert state == runner.state


def check_limits(runner: Watcher) -> None:
    """In no window of the period are there more restarts than the intensity, unless a pause or a reset cleared it."""
    limit = runner.spec.restarts.intensity
    if (
        runner.cleared
        or runner.spec.restarts.backoff is not None
        or any(isinstance(event, GaveUp) for _, event in runner.events[:-1])
    ):
        return
    times = [time for time, event in runner.events if isinstance(event, Restarting)]
    for last in times:
        assert sum(0 <= last - time <= limit.period for time in times) <= limit.max_restarts


def stop_in_time(runner: Watcher) -> None:
    """A stop ends within the sum of the times of those that live, or within the longest if they stop together; those
    who would not stop are named, and nobody else.
    """
    living = [runner.kids[name] for name in runner._living]
    takes = [LADDER_TAKES if kid.stops == "never" else kid.stop_takes for kid in living]
    begun, ending = runner.world.now, runner.state.phase is Phase.STOPPING
    stubborn = {f"sup/{kid.id}" for kid in living if kid.stops == "never"}
    runner.send(StopRequested(SHUTDOWN))
    runner.world.run_until(lambda: runner.exit is not None)
    assert runner.exit is not None
    took = runner.world.now - begun
    assert took <= (max(takes, default=0.0) if runner.spec.stops_together else sum(takes)) + 1e-9
    assert set(runner.exit.leaked) <= stubborn or ending
    told = [event.children for _time, event in runner.events if isinstance(event, Leaked)]
    assert told == ([runner.exit.leaked] if runner.exit.leaked else [])


def check_ended(runner: Watcher) -> None:
    commands = [command for _time, command in runner.commands]
    assert sum(isinstance(command, Exit) for command in commands) == 1
    assert isinstance(commands[-1], Exit)
    assert runner.exit is not None
    assert set(runner.replies) == set(runner.requested), "a request was not answered"
    assert runner.state.phase is Phase.ENDED
    assert not runner._living
    assert runner._timers == {}
    assert (runner.exit.kind is ExitKind.START_FAILED) == (runner.init_failed is not None)


@RANDOM
@given(trees(), OPERATIONS)
def test_any_history_ends_in_order(tree: Tree, operations: list[tuple[str, Any]]) -> None:
    """Whatever happened, a stop request ends the supervisor: in order, with every request answered once."""
    runner = Watcher(tree)
    runner.start()
    operate(runner, operations)
    if runner.exit is None:
        stop_in_time(runner)
    check_ended(runner)
    check_limits(runner)


@RANDOM
@given(trees(), OPERATIONS)
def test_any_history_comes_to_rest(tree: Tree, operations: list[tuple[str, Any]]) -> None:
    """When nothing happens any more, all that is to run runs, and no request is left open."""
    runner = Watcher(tree)
    runner.start()
    operate(runner, operations)
    runner.world.advance(1000.0)
    assert set(runner.replies) == set(runner.requested)
    if runner.exit is not None:
        check_ended(runner)
        return
    assert sum(isinstance(command, InitDone) for _time, command in runner.commands) == 1
    assert runner.state.phase is Phase.RUNNING
    assert runner.state.plan is None
    assert runner._timers == {}
    assert {row.status for row in runner.state.children} <= {Status.UP, Status.UNDEFINED}
    assert {row.id for row in runner.state.children if row.status is Status.UP} == set(runner._living)


@RANDOM
@given(trees(), st.lists(st.sampled_from(IDS), max_size=12))
def test_crashes_alone_leave_all_permanent_children_up(tree: Tree, victims: list[str]) -> None:
    """Without requests and refusals every permanent child is up again after a crash, unless the limit was reached."""
    fine = Tree(tuple(Kid(kid.id, stop_takes=kid.stop_takes) for kid in tree.kids), tree.options)
    runner = Watcher(fine)
    runner.start()
    for victim in victims:
        runner.kill(victim)
        runner.world.advance(10.0)
        if runner.exit is None:
            assert set(runner._living) == set(runner.kids)
            assert all(row.status is Status.UP for row in runner.state.children)
    check_limits(runner)
