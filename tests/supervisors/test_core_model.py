"""The core against a model that was written independently and the naive way: random trees in random histories.

Children take no time here, so that the model may block; what happens while children start and stop is the subject of
``test_core_random.py``.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policies.backoff import Backoff
from policies.restart import Intensity, RestartPolicy, RestartType, Strategy
from supervisors.core import step
from supervisors.core.state import which_children
from supervisors.core.transitions import (
    DeleteChild,
    ResetRestarts,
    RestartChild,
    StopRequested,
    TerminateChild,
)
from supervisors.events import GaveUp
from supervisors.exits import SHUTDOWN
from supervisors.spec import AutoShutdown, GiveUp
from tests.supervisors.core_bugs import BUGS
from tests.supervisors.core_runner import CoreRunner, Step, World
from tests.supervisors.scenarios import Kid, Tree
from tests.supervisors.simple_model import Clock, Model
from tests.supervisors.test_core_mutants import core_with_bug

EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
IDS = "abcde"
EIGHTHS = st.integers(0, 48).map(lambda k: k / 8)
"""Times on a grid that floats hit exactly."""


@st.composite
def policies(draw: st.DrawFn) -> RestartPolicy:
    limit = Intensity(draw(st.sampled_from((100, 6, 3, 2, 1, 0))), draw(st.sampled_from((1.0, 5.0))))
    backoff = draw(st.sampled_from((None, Backoff(0.125, 2.0, 1.0, jitter=0.0))))
    return RestartPolicy(
        limit,
        backoff,
        stable_after=2.0,
        max_streak=draw(st.sampled_from((None, 2, 4))) if backoff is None else 4,
        immediate=draw(st.integers(0, 1)),
        min_uptime=draw(st.sampled_from((0.0, 0.0, 4.0))),
    )


@st.composite
def trees(draw: st.DrawFn, ids: tuple[str, ...] = tuple(IDS[:4]), depth: int = 1) -> Tree:
    pool = draw(st.sampled_from((False, False, False, True)))
    auto = AutoShutdown.NEVER if pool else draw(st.sampled_from((AutoShutdown.NEVER, *AutoShutdown)))
    options: dict[str, Any] = {
        "strategy": Strategy.ONE_FOR_ONE if pool else draw(st.sampled_from(Strategy)),
        "auto_shutdown": auto,
        "restarts": draw(policies()),
        "on_give_up": draw(st.sampled_from((GiveUp.END, GiveUp.END, GiveUp.PAUSE))),
        "pause": draw(st.sampled_from((0.5, 3.0))),
        "pool": pool,
        "max_children": draw(st.sampled_from((None, 4))) if pool else None,
    }
    depth = 0 if pool else depth  # supervisors in a pool stop side by side: their order is nobody's
    return Tree(tuple(draw(kids(name, auto, depth)) for name in ids[: draw(st.integers(2, len(ids)))]), options)


@st.composite
def kids(draw: st.DrawFn, name: str, auto: AutoShutdown = AutoShutdown.NEVER, depth: int = 0) -> Kid:
    restart = draw(st.sampled_from((RestartType.PERMANENT, RestartType.PERMANENT, *RestartType)))
    significant = auto is not AutoShutdown.NEVER and restart is not RestartType.PERMANENT and draw(st.booleans())
    if depth and draw(st.integers(0, 5)) == 5:
        return Kid(name, restart, significant, tree=draw(trees((f"{name}1", f"{name}2"), depth=0)))
    starts = draw(st.lists(st.sampled_from(("ok", "ok", "refuse", "refuse", "decline")), max_size=4))
    return Kid(name, restart, significant, tuple(starts) if draw(st.integers(0, 15)) == 15 else ("ok", *starts))


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("kill"), st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique=True)),
        *(st.tuples(st.just("kill"), st.lists(st.sampled_from(IDS[:3]), min_size=1, max_size=1)),) * 4,
        st.tuples(st.just("kill below"), st.sampled_from(IDS)),
        st.tuples(st.just("end"), st.lists(st.sampled_from(IDS[:3]), min_size=1, max_size=1)),
        st.tuples(st.just("refuse"), st.sampled_from(IDS[:3])),
        st.tuples(st.just("advance"), EIGHTHS),
        st.tuples(st.just("advance"), st.sampled_from((0.0, 0.125, 0.25))),
        st.tuples(st.just("terminate_child"), st.sampled_from(IDS)),
        st.tuples(st.just("restart_child"), st.sampled_from(IDS)),
        st.tuples(st.just("delete_child"), st.sampled_from(IDS)),
        st.tuples(st.just("reset"), st.sampled_from((None, None, *IDS[:2]))),
        st.tuples(st.just("start_child"), st.sampled_from(IDS).flatmap(kids)),
    ),
    min_size=8,
    max_size=30,
)
"""Mostly failures: in a history of mostly fine days nothing is tested."""
REQUESTS = {
    "terminate_child": lambda name: lambda n: TerminateChild(n, name),
    "restart_child": lambda name: lambda n: RestartChild(n, name),
    "delete_child": lambda name: lambda n: DeleteChild(n, name),
    "reset": lambda name: lambda n: ResetRestarts(n, name),
}


class Pair:
    """The core and the model, side by side."""

    def __init__(self, tree: Tree, step: Step = step) -> None:
        self.core = CoreRunner(World(), tree, step=step)
        self.model = Model(Clock(), tree)
        alone = self.model.strategy is Strategy.ONE_FOR_ONE or any(kid.tree is not None for kid in tree.kids)
        self.tick = 1 / 1024 if alone else 0.0
        """Between two operations, where several restarts may be delayed each by itself: none are due at the same time,
        since delays are multiples of 1/8 s. Which comes first then is nobody's business."""
        self.core.start()
        self.model.begin()
        self.compare("init")

    def do(self, what: str, argument: Any) -> None:
        core, model = self.core, self.model
        core.world.advance(self.tick)
        model.pass_time_to(model.clock.now + self.tick)
        match what:
            case "kill" | "end":
                self.kill(argument, "crash" if what == "kill" else "normal")
            case "kill below":
                attempt, row = core._living.get(argument), model.find(argument)
                if attempt is not None and attempt.below is not None and row is not None and row.kid.tree is not None:
                    names = [kid.id for kid in row.kid.tree.kids][:1]
                    core.kill([f"{argument}/{name}" for name in names])
                    core.world.settle()
                    row.sub.die(names, "crash")
                    model.see_below()
            case "refuse":
                row = model.find(argument)
                if row is not None:
                    core.next_starts(argument, ("refuse", "refuse"))
                    row.starts, row.then = ["refuse", "refuse"], "ok"
            case "advance":
                core.world.advance(argument)
                model.pass_time_to(model.clock.now + argument)
            case "start_child":
                number = core.add(argument)
                core.world.settle()
                model.request(number, what, argument)
            case _:
                number = core.request(REQUESTS[what](argument))
                core.world.settle()
                model.request(number, what, argument)
        self.compare(f"{what} {argument}")

    def kill(self, names: list[str], how: str) -> None:
        """Several at once only where one of them takes the others along: the model does one thing after another."""
        order = [row.id for row in self.model.rows]
        names = sorted((name for name in names if name in order), key=order.index)
        if self.model.strategy is Strategy.ONE_FOR_ONE or how == "normal":
            names = names[:1]
        workers = [name for name in names if self.model.find(name).kid.tree is None]
        self.core.kill(workers, how)
        self.core.world.settle()
        self.model.die(workers, how)

    def compare(self, after: str) -> None:
        core, model = self.core, self.model
        assert core.world.trace == model.clock.trace, after
        assert core.world.now == model.clock.now
        if model.end is None:
            assert core.exit is None, f"{after}: {core.exit}"
            rows = [(row.id, row.status) for row in which_children(core.state)]
            assert rows == [(row.id, row.word) for row in model.rows], after
        else:
            kind, child = model.end
            assert core.exit is not None, after
            assert core.exit.kind.value == kind
            assert child is None or repr(child) in core.exit.detail
        answers = {number: getattr(reply.error, "code", reply.error) for number, reply in core.replies.items()}
        assert answers == model.answers, after
        gave_up = [(event.child, event.rule) for _, event in core.events if isinstance(event, GaveUp)]
        assert gave_up == model.gave_up, after


@EXAMPLES
@given(trees(), OPERATIONS)
def test_the_core_does_what_a_naive_supervisor_does(tree: Tree, operations: list[tuple[str, Any]]) -> None:
    """Starts, stops, refusals, statuses, answers, reasons and times are the same after each step of any history."""
    play(tree, operations, step)


FOUND = (
    "children stop in start order",
    "a temporary child comes back with its group",
    "a group leaves out transient children that had ended",
    "the window holds one restart more",
    "a refused restart is not counted",
    "a delayed group starts at once",
    "a stop request does not call off what is queued",
)


@pytest.mark.parametrize("name", FOUND)
def test_the_model_finds_planted_bugs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A bug in the core shows as a difference to the model, within some hundred random histories."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    variant = core_with_bug(monkeypatch, bug)

    @settings(EXAMPLES, max_examples=1000, phases=[Phase.generate], database=None)
    @given(trees(), OPERATIONS)
    def compare(tree: Tree, operations: list[tuple[str, Any]]) -> None:
        play(tree, operations, variant)

    with pytest.raises((AssertionError, KeyError)):
        compare()


def play(tree: Tree, operations: list[tuple[str, Any]], step: Step) -> None:
    pair = Pair(tree, step)
    for what, argument in operations:
        if pair.model.end is not None:
            break
        pair.do(what, argument)
    if pair.model.end is None:
        pair.core.send(StopRequested(SHUTDOWN))
        pair.core.world.settle()
        pair.model.stop()
        pair.compare("stop")
    assert set(pair.core.replies) == set(pair.core.requested)
    assert pair.core._timers == {}
