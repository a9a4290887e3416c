"""How a supervisor core ends, and what it tells on the way."""

import random

import pytest

from policies.restart import RestartPolicy, Strategy
from supervisors.core import step
from supervisors.core.state import initial, which_children
from supervisors.core.transitions import (
    ChildDown,
    Exit,
    Init,
    InitFailed,
    Report,
    SetTimer,
    StartActor,
    StopActor,
    StopRequested,
    TerminateChild,
    TimerFired,
)
from supervisors.events import Ended, GaveUp, Restarting, StartRefused
from supervisors.exits import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.spec import AutoShutdown, SupervisorSpec
from tests.supervisors.core_runner import CRASH, CoreRunner, World
from tests.supervisors.scenarios import Kid, Tree, permanent, temporary, transient


def running(*kids: Kid, **options) -> CoreRunner:
    runner = CoreRunner(World(), Tree(kids, options))
    runner.start()
    return runner


def told(runner: CoreRunner) -> list[object]:
    return [event for _time, event in runner.events]


def test_giving_up_keeps_the_cause() -> None:
    """The exit reason of a supervisor that gave up leads to the failure that was one too many."""
    runner = running(*permanent("a"), restarts=RestartPolicy.otp(0))
    runner.kill("a")
    runner.world.settle()
    assert runner.exit is not None
    assert runner.exit.kind is ExitKind.GAVE_UP
    assert runner.exit.abnormal
    assert runner.exit.root == CRASH
    assert "'a'" in runner.exit.detail
    assert told(runner)[-1] == GaveUp("sup", "a", "intensity", CRASH, (0.0,))


def test_failed_init_is_told_before_the_exit() -> None:
    """InitFailed names the child and keeps its reason; Exit follows with the same reason."""
    runner = running(*permanent("a"), *permanent("b", starts=("refuse",)))
    *_rest, failed, last = [command for _time, command in runner.commands]
    assert failed == InitFailed(last.reason)
    assert isinstance(last, Exit)
    assert last.reason.kind is ExitKind.START_FAILED
    assert last.reason.cause == CRASH
    assert "'b'" in last.reason.detail
    assert not runner.is_up
    assert StartRefused("sup/b", CRASH) in told(runner)


def test_verdict_of_a_significant_child_reaches_the_parent() -> None:
    """auto_shutdown ends with a normal reason whose value is the exit reason of the significant child."""
    runner = running(*permanent("a"), *transient("judge", significant=True), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    verdict = ExitReason(ExitKind.NORMAL, value={"verdict": "abort"})
    attempt = runner._living.pop("judge")
    runner.send(ChildDown("judge", attempt.number, verdict))
    runner.world.settle()
    assert runner.exit == ExitReason(ExitKind.SHUTDOWN, "significant child 'judge' ended", value=verdict)
    assert not runner.exit.abnormal


def test_stop_request_gives_the_exit_reason() -> None:
    """The supervisor exits with the reason it was asked to stop with; a second request changes nothing."""
    reason = ExitReason(ExitKind.SHUTDOWN, "its parent restarts")
    runner = running(*permanent("a b", stop_takes=1.0))
    runner.send(StopRequested(reason))
    runner.send(StopRequested(SHUTDOWN))
    runner.world.advance(2.0)
    assert runner.exit == reason
    assert runner.world.trace == ["+a", "+b", "-b", "-a"]


def test_end_that_has_begun_keeps_its_reason() -> None:
    """A stop request while a supervisor that gave up stops its children does not hide that it gave up."""
    runner = running(*permanent("a"), *permanent("b", stop_takes=1.0), restarts=RestartPolicy.otp(0))
    runner.kill("a")
    runner.world.settle()
    runner.send(StopRequested(SHUTDOWN))
    runner.world.advance(1.0)
    assert runner.exit is not None
    assert runner.exit.kind is ExitKind.GAVE_UP


def test_stop_before_init_exits_at_once() -> None:
    """A supervisor that is stopped before it began starts nothing, also not later."""
    runner = CoreRunner(World(), Tree(permanent("a")))
    runner.send(StopRequested(SHUTDOWN))
    assert [command for _time, command in runner.commands] == [Exit(SHUTDOWN)]
    runner.start()
    assert len(runner.commands) == 1


def test_restart_is_told_before_it_is_done() -> None:
    """Ended, then Restarting with delay and group, then the commands that do it."""
    runner = running(*permanent("a b c"), strategy=Strategy.REST_FOR_ONE, restarts=RestartPolicy.otp())
    before = len(runner.commands)
    runner.kill("b")
    runner.world.settle()
    commands = [command for _time, command in runner.commands[before:]]
    assert commands[:2] == [
        Report(Ended("sup/b", CRASH, expected=False)),
        Report(Restarting("sup/b", 0.0, ("b", "c"), CRASH)),
    ]
    assert isinstance(commands[2], StopActor)
    assert "'b'" in commands[2].reason.detail
    assert Ended("sup/c", SHUTDOWN, expected=True) in told(runner)


def test_end_of_a_child_says_whether_it_was_asked_for() -> None:
    """``Ended.expected`` is true for children that were told to stop, whatever their reason; false for others."""
    runner = running(*permanent("a b"), *temporary("m"))
    runner.kill("m")
    runner.request(lambda n: TerminateChild(n, "b"))
    runner.kill("b")
    runner.world.settle()
    assert told(runner) == [
        Ended("sup/m", CRASH, expected=False),
        Ended("sup/b", CRASH, expected=True),
    ]


@pytest.mark.parametrize("strategy", Strategy)
def test_early_timer_is_set_again(strategy: Strategy) -> None:
    """A timer that fires before its time starts nothing and is set again."""
    runner = running(*permanent("a"), strategy=strategy, restarts=RestartPolicy(immediate=0))
    runner.kill("a")
    runner.world.settle()
    (info,) = which_children(runner.state)
    assert info.status == "restarting"
    (timer,) = runner._timers
    state = runner.state
    for _ in range(2):
        state, commands = step(state, TimerFired(timer), runner.world.now, random.Random(0))
        assert commands == (SetTimer(timer, info.due),)


def test_restarts_are_counted_per_child() -> None:
    """which_children tells how often a child came up again."""
    runner = running(*permanent("a b"), restarts=RestartPolicy.otp(9))
    for _ in range(3):
        runner.kill("b")
        runner.world.settle()
    assert [info.restarts for info in which_children(runner.state)] == [0, 3]


def test_start_that_ends_without_a_word_is_a_refusal() -> None:
    """Robustness: a Down of an attempt that never was ready counts as a refused start."""
    runner = CoreRunner(World(), Tree(permanent("a")))
    runner.send(Init())
    attempt = runner._living.pop("a")
    runner.send(ChildDown("a", attempt.number, NORMAL))
    assert runner.init_failed is not None


def test_jitter_comes_from_the_given_random_numbers() -> None:
    """The same random numbers give the same delay; others give another."""
    spec = RestartPolicy(immediate=0)
    delays = []
    for seed in (1, 1, 2):
        runner = CoreRunner(World(), Tree(permanent("a"), {"restarts": spec}), seed=seed)
        runner.start()
        runner.kill("a")
        runner.world.settle()
        delays.append(which_children(runner.state)[0].due)
    assert delays[0] == delays[1] != delays[2]


def test_only_events_are_taken() -> None:
    """Anything else raises and says what was expected."""
    state = initial(SupervisorSpec(), "sup")
    with pytest.raises(TypeError, match="StartActor"):
        step(state, StartActor(None, 1), 0.0, random.Random(0))
