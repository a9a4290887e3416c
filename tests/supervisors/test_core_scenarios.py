"""The scenario table on the pure core, under a virtual clock."""

import pytest

from supervisors.core import step
from supervisors.core.state import count_children, which_children
from supervisors.core.transitions import (
    DeleteChild,
    ResetRestarts,
    RestartChild,
    StopRequested,
    SupervisorError,
    TerminateChild,
)
from supervisors.events import GaveUp
from supervisors.exits import SHUTDOWN
from tests.supervisors import scenarios as s
from tests.supervisors.core_runner import CoreRunner, Step, World


def play(scenario: s.Scenario, step: Step = step) -> CoreRunner:
    """Run a row of the table on the core, then stop it; raises ``AssertionError`` where it does something else."""
    runner = CoreRunner(World(), scenario.tree, path="rt", step=step)
    runner.start()
    looker = _Looker(runner)
    for number, action in enumerate(scenario.script):
        try:
            looker.act(action)
        except AssertionError as error:
            raise AssertionError(f"{scenario.id}, {scenario.tells}: step {number} {action}: {error}") from error
    if runner.exit is None:
        runner.send(StopRequested(SHUTDOWN))
        runner.world.run_until(lambda: runner.exit is not None)
    assert set(runner.replies) == set(runner.requested)
    assert runner._timers == {}, "a timer outlives the supervisor"
    return runner


class _Looker:
    def __init__(self, runner: CoreRunner) -> None:
        self.runner = runner
        self.world = runner.world
        self.looked = 0.0

    def act(self, action: s.Action) -> None:
        runner = self.runner
        match action:
            case s.Kill():
                runner.kill(action.ids.split(), action.how)
                self.world.settle()
            case s.Next():
                runner.next_starts(action.id, action.starts, action.then)
            case s.Advance():
                self.world.advance(action.seconds)
            case s.Terminate():
                there = runner.at(action.at)
                request = there.request(lambda n: TerminateChild(n, action.id, action.by or None, by_ref=action.by_ref))
                self.ask(there, request, action.error, wait=action.wait)
            case s.Restart():
                request = runner.request(lambda n: RestartChild(n, action.id))
                self.ask(runner, request, action.error, wait=action.wait)
            case s.Delete():
                there = runner.at(action.at)
                self.ask(there, there.request(lambda n: DeleteChild(n, action.id)), action.error)
            case s.Start():
                there = runner.at(action.at)
                self.ask(there, there.add(action.kid), action.error)
            case s.Reset():
                self.ask(runner, runner.request(lambda n: ResetRestarts(n, action.id)), action.error)
            case s.Stop():
                runner.send(StopRequested(SHUTDOWN))
                if action.wait:
                    self.world.run_until(lambda: runner.exit is not None)
            case s.See():
                self.see(action)
            case s.Alive():
                assert runner.exit is None, f"ended with {runner.exit}"
            case s.Ended():
                self.world.run_until(lambda: runner.exit is not None)
                assert runner.exit.kind.value == action.kind
                assert action.text in str(runner.exit)
            case s.Gave():
                told = [event for _time, event in runner.events if isinstance(event, GaveUp)]
                assert [(e.child, e.rule, len(e.restarts)) for e in told] == [
                    (action.child, action.rule, action.restarts)
                ]

    def ask(self, asked: CoreRunner, request: int, code: str | None, *, wait: bool = True) -> None:
        if not wait:
            return
        self.world.run_until(lambda: request in asked.replies)
        error = asked.replies[request].error
        assert (error.code if isinstance(error, SupervisorError) else error) == code

    def see(self, expected: s.See) -> None:
        if expected.took is not None:
            # at rest: nothing is starting or stopping any more
            self.world.run_until(lambda: not any(not a.ready or a.stopping for a in self.runner._living.values()))
            assert self.world.now - self.looked == pytest.approx(expected.took)
        self.looked = self.world.now
        rows = which_children(self.runner.state)
        if expected.children is not None:
            assert " ".join(f"{row.id}={row.status}" for row in rows) == expected.children
        if expected.trace is not None:
            assert " ".join(self.world.trace) == expected.trace
        self.world.trace.clear()
        if expected.counts is not None:
            counts = count_children(self.runner.state)
            assert (
                "/".join(str(counts[key]) for key in ("specs", "active", "supervisors", "workers")) == expected.counts
            )
        if expected.due is not None:
            due = [row.due - self.world.now for row in rows if row.due is not None]
            assert min(due, default=None) == pytest.approx(expected.due)
        waits = any(row.due is not None for row in rows)
        assert waits or not self.runner._timers, f"nothing waits for {set(self.runner._timers)}"


@pytest.mark.parametrize("scenario", s.TABLE.values(), ids=s.TABLE)
def test_scenario(scenario: s.Scenario) -> None:
    """The core does what the row of the table says."""
    play(scenario)
