"""The dynamic API of the core: what requests are answered, and when."""

import pytest

from policies.restart import RestartPolicy, Strategy
from supervisors.core.state import child_spec, which_children
from supervisors.core.transitions import (
    ChildRefused,
    DeleteChild,
    Reply,
    ResetRestarts,
    RestartChild,
    StartActor,
    StartChild,
    StopRequested,
    SupervisorError,
    TerminateChild,
)
from supervisors.exits import NORMAL, SHUTDOWN
from supervisors.spec import ChildSpec
from tests.supervisors.core_runner import CRASH, CoreRunner, World, spec_of
from tests.supervisors.scenarios import Kid, Tree, permanent, transient


def running(*kids: Kid, **options) -> CoreRunner:
    runner = CoreRunner(World(), Tree(kids, options))
    runner.start()
    return runner


def answer(runner: CoreRunner, request: int) -> Reply:
    runner.world.run_until(lambda: request in runner.replies)
    return runner.replies[request]


def test_start_answers_the_id_when_the_child_is_up() -> None:
    """start_child answers the id, and not before the child is ready."""
    runner = running()
    request = runner.add(Kid("a", start_takes=1.0))
    runner.world.settle()
    assert request not in runner.replies
    assert answer(runner, request) == Reply(request, "a")
    assert runner.world.now == 1.0


def test_declined_start_answers_none() -> None:
    """A start that was declined is answered with None, not with an error."""
    runner = running()
    request = runner.add(Kid("a", starts=("decline",)))
    assert answer(runner, request) == Reply(request, None)


def test_refused_start_carries_the_reason() -> None:
    """The error of a refused start holds the exit reason of the start."""
    runner = running()
    error = answer(runner, runner.add(Kid("a", starts=("refuse",)))).error
    assert isinstance(error, SupervisorError)
    assert error.code == "refused"
    assert error.reason == CRASH
    assert "boom" in str(error)


def test_errors_name_supervisor_child_and_remedy() -> None:
    """An error text says which supervisor, which child, and what to do."""
    runner = running(*permanent("a"))
    for request, words in (
        (runner.add(Kid("a")), ("sup", "'a'", "already")),
        (runner.request(lambda n: DeleteChild(n, "a")), ("sup", "'a'", "terminate_child")),
        (runner.request(lambda n: RestartChild(n, "x")), ("sup", "'x'", "which_children")),
    ):
        text = str(answer(runner, request).error)
        assert all(word in text for word in words), text


@pytest.mark.parametrize("options", [{}, {"pool": True}])
def test_significant_child_needs_auto_shutdown(options: dict) -> None:
    """A spec that does not fit its supervisor is answered with the error that init would raise; nothing starts."""
    runner = running(**options)
    error = answer(runner, runner.add(*transient("a", significant=True))).error
    assert isinstance(error, ValueError)
    assert "significant" in str(error)
    assert which_children(runner.state) == ()


def test_starts_by_request_do_not_wait_for_each_other() -> None:
    """Two children that are added one after the other start side by side."""
    runner = running()
    requests = [runner.add(Kid(name, start_takes=1.0)) for name in "ab"]
    for request in requests:
        answer(runner, request)
    assert runner.world.now == 1.0


def test_child_added_during_init_waits_for_its_turn() -> None:
    """During init a new child starts after the first ones; its refusal is answered and rolls nothing back."""
    runner = running(*permanent("a b", start_takes=1.0))
    refused = runner.add(Kid("c", starts=("refuse",)))
    fine = runner.add(Kid("d"))
    assert answer(runner, refused).error is not None
    assert answer(runner, fine).value == "d"
    assert runner.is_up
    assert runner.world.trace == ["+a", "+b", "!c", "+d"]


def test_child_added_before_init_starts_with_init() -> None:
    """Nothing starts before Init, not even by request."""
    runner = CoreRunner(World(), Tree(permanent("a")))
    request = runner.add(Kid("b"))
    assert runner.commands == []
    runner.start()
    assert runner.world.trace == ["+a", "+b"]
    assert answer(runner, request).value == "b"


def test_all_who_terminate_are_answered_when_the_child_is_down() -> None:
    """Two requests to terminate the same child stop it once and are both answered, once it is down."""
    runner = running(*permanent("a", stop_takes=1.0))
    requests = [runner.request(lambda n: TerminateChild(n, "a")) for _ in range(2)]
    assert runner.replies == {}
    for request in requests:
        assert answer(runner, request) == Reply(request)
    assert runner.world.now == 1.0
    assert runner.world.trace == ["+a", "-a"]


def test_terminating_a_starting_child_answers_both() -> None:
    """A child that is terminated while it starts: the one who started it hears of it, once."""
    runner = running(*permanent("a"), strategy=Strategy.ONE_FOR_ALL)
    start = runner.add(Kid("b", start_takes=5.0))
    stop = runner.request(lambda n: TerminateChild(n, "b"))
    assert answer(runner, stop).error is None
    error = answer(runner, start).error
    assert isinstance(error, SupervisorError)
    assert error.code == "refused"
    assert runner.world.now == 0.0
    runner.kill("a")
    runner.world.advance(5.0)
    assert runner.world.trace == ["+a", "-b", "+a", "+b"]


def test_group_restart_keeps_the_promise_to_who_started_a_child() -> None:
    """A child that is stopped by a group restart while it starts by request starts again, and then is answered."""
    runner = running(*permanent("a"), strategy=Strategy.ONE_FOR_ALL)
    request = runner.add(Kid("b", start_takes=1.0))
    runner.kill("a")
    assert answer(runner, request) == Reply(request, "b")
    assert runner.world.trace == ["+a", "-b", "+a", "+b"]


def test_stop_answers_who_waits_for_a_start() -> None:
    """When the supervisor ends, starts that are queued or under way are answered with refused."""
    runner = running(*permanent("a", start_takes=1.0))
    queued = runner.add(Kid("b"))
    runner.send(StopRequested(SHUTDOWN))
    assert answer(runner, queued).error is not None
    runner.world.run_until(lambda: runner.exit is not None)
    assert "+b" not in runner.world.trace


def test_requests_to_a_supervisor_that_ends() -> None:
    """Nothing is started any more; terminate still answers when the child is down; all is answered after the end."""
    runner = running(*permanent("a", stop_takes=1.0))
    runner.send(StopRequested(SHUTDOWN))
    assert answer(runner, runner.add(Kid("b"))).error is not None
    terminate = runner.request(lambda n: TerminateChild(n, "a"))
    assert answer(runner, terminate) == Reply(terminate)
    runner.world.run_until(lambda: runner.exit is not None)
    for make in (
        lambda n: RestartChild(n, "a"),
        lambda n: StartChild(n, spec_of(Kid("b"))),
        lambda n: TerminateChild(n, "x"),
    ):
        assert answer(runner, runner.request(make)).error is not None


def test_restarting_child_cannot_be_deleted_while_it_starts() -> None:
    """During a restart the answer is ``restarting``, also while the new attempt is starting."""
    runner = running(Kid("a"))
    runner.kids["a"] = Kid("a", start_takes=1.0)
    runner.kill("a")
    runner.world.settle()
    assert which_children(runner.state)[0].status == "starting"
    error = answer(runner, runner.request(lambda n: DeleteChild(n, "a"))).error
    assert isinstance(error, SupervisorError)
    assert error.code == "restarting"


def test_attempts_are_numbered_across_children() -> None:
    """No attempt number is used twice within a supervisor, not even for a new child of the same id."""
    runner = running(*permanent("a b"))
    runner.kill("a")
    runner.world.settle()
    answer(runner, runner.request(lambda n: TerminateChild(n, "b")))
    answer(runner, runner.request(lambda n: DeleteChild(n, "b")))
    answer(runner, runner.add(Kid("b")))
    numbers = [command.attempt for _time, command in runner.commands if isinstance(command, StartActor)]
    assert len(numbers) == len(set(numbers)) == 4


def test_child_spec_is_the_filled_in_one() -> None:
    """child_spec answers the specification with its defaults (OTP get_childspec)."""
    runner = running(*permanent("a"))
    spec = child_spec(runner.state, "a")
    assert isinstance(spec, ChildSpec)
    assert (spec.restart.value, spec.kind.value, spec.significant, spec.shutdown.stop) == (
        "permanent",
        "worker",
        False,
        5.0,
    )
    with pytest.raises(SupervisorError) as raised:
        child_spec(runner.state, "x")
    assert raised.value.code == "not_found"


def test_who_asks_for_its_own_end_is_answered_at_once() -> None:
    """It would wait for itself otherwise. Others who ask are answered when it is down."""
    runner = running(*permanent("a", stop_takes=1.0))
    own = runner.request(lambda n: TerminateChild(n, "a", asker="a"))
    assert runner.replies[own] == Reply(own)
    other = runner.request(lambda n: TerminateChild(n, "a", asker="b"))
    assert other not in runner.replies
    assert answer(runner, other) == Reply(other)
    assert runner.world.trace == ["+a", "-a"]


def test_who_starts_within_a_plan_cannot_wait_for_what_starts_after_it() -> None:
    """The start would come after the asker's own: ``deadlock``; from anybody else it waits for its turn."""
    runner = running(*permanent("a b c", start_takes=1.0))
    answer(runner, runner.request(lambda n: TerminateChild(n, "c")))
    for make in (
        lambda n: RestartChild(n, "c", asker="a"),
        lambda n: StartChild(n, spec_of(Kid("z")), asker="a"),
    ):
        error = answer(runner, runner.request(make)).error
        assert isinstance(error, SupervisorError)
        assert error.code == "deadlock"
        assert "'a'" in str(error)
    assert [row.id for row in which_children(runner.state)] == ["a", "b", "c"]
    assert answer(runner, runner.request(lambda n: RestartChild(n, "c", asker="b"))) == Reply(4, "c")


def test_who_stops_cannot_wait_for_what_stops_after_it() -> None:
    """Within a group that stops one after another; one that is stopping already can be waited for."""
    runner = running(*permanent("a b c", stop_takes=1.0), *permanent("d"), strategy=Strategy.ONE_FOR_ALL)
    runner.kill("d")
    runner.world.settle()
    error = answer(runner, runner.request(lambda n: TerminateChild(n, "a", asker="c"))).error
    assert isinstance(error, SupervisorError)
    assert error.code == "deadlock"
    assert answer(runner, runner.request(lambda n: TerminateChild(n, "c", asker="a"))).error is None
    runner.world.advance(5.0)
    assert [(row.id, row.status) for row in which_children(runner.state)] == [
        ("a", "up"),
        ("b", "up"),
        ("c", "undefined"),
        ("d", "up"),
    ]


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN], ids=str)
def test_a_refused_restart_is_tried_again_whatever_its_reason(reason) -> None:
    """OTP: also for a transient child, whose end with that reason would be no failure."""
    runner = running(*transient("t"), restarts=RestartPolicy.otp())
    runner.next_starts("t", ("hang",))
    runner.kill("t")
    runner.world.settle()
    attempt = runner._living.pop("t")
    runner.send(ChildRefused("t", attempt.number, reason))
    runner.world.settle()
    assert [row.status for row in which_children(runner.state)] == ["up"]


def test_a_reset_is_answered_and_changes_nobody_else() -> None:
    """The streak of the child is forgotten, its life goes on."""
    runner = running(*permanent("a b"), restarts=RestartPolicy(immediate=5))
    for name in "aab":
        runner.kill(name)
        runner.world.settle()
    request = runner.request(lambda n: ResetRestarts(n, "a"))
    assert runner.replies[request] == Reply(request)
    streaks = {row.id: row.history.streak for row in runner.state.children}
    assert streaks == {"a": 0, "b": 1}
    assert len(runner.state.window) == 3
    answer(runner, runner.request(ResetRestarts))
    assert len(runner.state.window) == 0
    assert {row.history.streak for row in runner.state.children} == {0}
