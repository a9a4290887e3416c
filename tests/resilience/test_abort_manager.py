"""AbortManager: judgements with their reasons, policies from dicts, actions in order and bounded, analysis."""

import asyncio
import datetime as dt
import threading
import traceback

import pytest

from scorewise_actors import ExitCode
from scorewise_actors.events import EventType
from scorewise_actors.failure_events import failure_event
from scorewise_actors.resilience import (
    AbortConfiguration,
    AbortConfigurationError,
    AbortManager,
    AbortPolicyNotFoundError,
)
from scorewise_actors.resilience.connection import PrivateTree
from supervisors.exits import ExitKind, ExitReason
from supervisors.spec import Ladder

LITERAL = {
    "name": "strict",
    "failure_rate_threshold": 0.5,
    "window_size": 10,
    "window_duration": 300,
    "consecutive_crashes": 3,
    "min_operations": 10,
}
REFUSED = {"category": "network", "message": "net::ERR_CONNECTION_REFUSED", "severity": "error"}


@pytest.fixture
async def tree():
    return PrivateTree()


@pytest.fixture
async def manager(tree):
    async with AbortManager(connection=tree) as manager:
        yield manager


@pytest.fixture
async def strict(manager):
    return await manager.create_abort_policy(LITERAL)


async def fail(manager, count, job="job", **changes):
    for _ in range(count):
        await manager.record_failure(job, REFUSED | changes)


def kill(tree, role):
    actor = tree.running().ref(f"resilience/{role}").actor
    ladder = Ladder(stop=0, cancel=0, release=0)
    tree.running().kill(actor, ladder, ExitReason(ExitKind.KILLED, "by the test"))


async def test_an_unknown_job_goes_on_with_a_reason(manager):
    """Nothing recorded is no evidence."""
    answer = await manager.evaluate_abort_conditions(job_id="fresh", abort_policy_id="conservative")
    assert answer["should_abort"] is False
    assert answer["reason"] == "nothing has been recorded yet"
    assert answer["exit_code"] == ExitCode.DONE


async def test_a_job_that_only_fails_is_aborted_with_reason_evidence_and_exit_code(manager, strict):
    """By the literal policy: more than half of the last ten."""
    await fail(manager, 10)
    answer = await manager.evaluate_abort_conditions("job", strict)
    assert answer["should_abort"] is True
    assert answer["reason"] == "10 of the last 10 operations failed, more than 50% of them."
    assert (answer["rule"], answer["action"], answer["exit_code"]) == ("window", "abort", ExitCode.ABORTED)
    assert answer["evidence"]["window_failures"] == 10


async def test_successes_make_the_rate(manager, strict):
    """Five of ten is not more than half; the sixth is, and a success in its place is not."""
    await fail(manager, 5)
    await manager.record_success("job", 5)
    answer = await manager.evaluate_abort_conditions("job", strict)
    assert (answer["should_abort"], answer["reason"]) == (
        False,
        "5 of 10 operations failed, which is fine by this policy",
    )
    await fail(manager, 6)
    assert (await manager.evaluate_abort_conditions("job", strict))["should_abort"] is True


async def test_a_job_below_min_operations_is_never_aborted(tree):
    """Neither below the policy's minimum nor below the configuration's, whichever is more; it says how far it is."""
    async with AbortManager(AbortConfiguration(min_operations_before_eval=20), connection=tree) as manager:
        strict = await manager.create_abort_policy(LITERAL)
        await fail(manager, 19)
        answer = await manager.evaluate_abort_conditions("job", strict)
        assert answer["should_abort"] is False
        assert answer["reason"].startswith(
            "too early to judge: 19 of at least 20 operations; so far: 10 of the last 10"
        )
        await fail(manager, 1)
        assert (await manager.evaluate_abort_conditions("job", strict))["should_abort"] is True


async def test_what_was_too_early_is_forgotten_when_all_is_well_again(manager):
    """An abort that was too early is no verdict that waits for its time."""
    policy = await manager.create_abort_policy({"name": "small", "window_size": 4, "min_operations": 4})
    await fail(manager, 8)
    answer = await manager.evaluate_abort_conditions("job", policy)
    assert (answer["should_abort"], answer["action"]) == (False, "suspect")  # ten are needed here
    await manager.record_success("job", 8)
    assert (await manager.evaluate_abort_conditions("job", policy))["should_abort"] is False


async def test_crashes_in_a_row_abort_and_a_success_ends_the_row(tree):
    """Failures of category browser are crashes; the row is broken by a page that came."""
    async with AbortManager(AbortConfiguration(min_operations_before_eval=1), connection=tree) as manager:
        policy = await manager.create_abort_policy({"name": "crashes", "min_operations": 1, "window_size": 100})
        await manager.record_success("job", 20)
        await fail(manager, 2, category="browser")
        await manager.record_success("job")
        await fail(manager, 2, category="browser")
        assert (await manager.evaluate_abort_conditions("job", policy))["should_abort"] is False
        await fail(manager, 1, category="browser")
        answer = await manager.evaluate_abort_conditions("job", policy)
        assert (answer["should_abort"], answer["rule"]) == (True, "crashes")


async def test_a_verdict_stands(manager, strict):
    """What was said to be aborted is not taken back because successes came later."""
    await fail(manager, 10)
    first = await manager.evaluate_abort_conditions("job", strict)
    await manager.record_success("job", 100)
    again = await manager.evaluate_abort_conditions("job", strict)
    assert again["should_abort"] is True
    assert again["reason"] == first["reason"]


async def test_a_policy_may_be_asked_about_after_the_fact(manager):
    """What was recorded before the policy was made counts, as if it had been there from the beginning."""
    await fail(manager, 30)
    late = await manager.create_abort_policy(LITERAL | {"name": "late"})
    assert (await manager.evaluate_abort_conditions("job", late))["should_abort"] is True
    assert (await manager.evaluate_abort_conditions("job", "conservative"))["action"] == "continue"


async def test_old_failures_do_not_count(manager):
    """``window_duration``: what is older is not looked at."""
    policy = await manager.create_abort_policy(LITERAL | {"name": "short memory", "window_duration": 0.05})
    await fail(manager, 10)
    await asyncio.sleep(0.06)  # the policy looks at time itself
    assert (await manager.evaluate_abort_conditions("job", policy))["should_abort"] is False


async def test_judgements_survive_their_actor(tree, manager, strict):
    """Outcomes, policies and verdicts are there after the AbortJudges were killed."""
    await fail(manager, 9)
    kill(tree, "aborts")
    await fail(manager, 1)
    assert (await manager.evaluate_abort_conditions("job", strict))["should_abort"] is True
    kill(tree, "aborts")
    await manager.record_success("job", 50)
    assert (await manager.evaluate_abort_conditions("job", strict))["should_abort"] is True


async def test_a_failure_reported_twice_under_one_id_counts_once(manager, strict):
    """In the judgement and in the analysis."""
    event = failure_event(REFUSED)
    for _ in range(20):
        await manager.record_failure("job", event)
    assert (await manager.evaluate_abort_conditions("job", strict))["evidence"]["operations"] == 1
    assert (await manager.get_failure_analysis("job"))["total_failures"] == 1


async def test_switched_off_it_records_and_aborts_nothing(tree):
    """``enabled=False``: analysis works, no job is aborted, no action is carried out."""
    async with AbortManager(AbortConfiguration(enabled=False), connection=tree) as manager:
        ran = []
        manager.register_abort_action("cleanup", lambda *_: ran.append(1))
        strict = await manager.create_abort_policy(LITERAL)
        await fail(manager, 20)
        answer = await manager.evaluate_abort_conditions("job", strict)
        assert (answer["should_abort"], "switched off" in answer["reason"]) == (False, True)
        assert await manager.execute_abort_actions("job", "by hand") is False
        assert ran == []
        assert (await manager.get_failure_analysis("job"))["total_failures"] == 20


async def test_an_unknown_policy_is_named_with_those_there_are(manager, strict):
    """The presets and those that were made."""
    with pytest.raises(
        AbortPolicyNotFoundError, match=r"no abort policy 'x'; known are conservative, development, .*strict"
    ):
        await manager.evaluate_abort_conditions("job", "x")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failure_rate_threshold": 101}, "failure_rate_threshold must be a number from 0 to 100, got 101"),
        ({"failure_rate_threshold": "half"}, "failure_rate_threshold must be"),
        ({"window_size": 0}, "window_size must be a whole number from 1 to 10000, got 0"),
        ({"window_duration": -1}, "window_duration must be a number from 0.001"),
        ({"consecutive_crashes": 0}, "consecutive_crashes must be a whole number"),
        ({"min_operations": 1.5}, "min_operations must be a whole number from 1 to 1000000, got 1.5"),
        ({"window": 10}, "unknown key 'window'; the keys are name, failure_rate_threshold"),
        ({"name": None}, "name must be a text of 1 to 100 characters, got None"),
        ({"abort_actions": "SHUTDOWN"}, "abort_actions must be a list of actions"),
        ({"abort_actions": ["EXPLODE"]}, "type must be one of LOG_EVENT, NOTIFY, .*got 'EXPLODE'"),
        ({"abort_actions": [{"type": "NOTIFY", "timeout": 0}]}, "timeout must be a number from 0.01 to 3600, got 0"),
        ({"abort_actions": [{"type": "NOTIFY", "to": "me"}]}, "abort action: unknown key 'to'"),
        ({"abort_actions": [{"type": "NOTIFY", "parameters": 3}]}, "parameters must be a dict, got 3"),
    ],
)
async def test_a_bad_policy_is_refused_by_name_value_and_range(manager, change, words):
    """Nothing is kept of it."""
    with pytest.raises(AbortConfigurationError, match=words):
        await manager.create_abort_policy(LITERAL | change)


async def test_a_threshold_above_one_is_percent(manager):
    """``50`` and ``0.5`` are one policy."""
    assert await manager.create_abort_policy(LITERAL) == "strict"
    assert await manager.create_abort_policy(LITERAL | {"failure_rate_threshold": 50}) == "strict"
    assert await manager.create_abort_policy(LITERAL | {"failure_rate_threshold": 51}) == "strict-2"


@pytest.mark.parametrize("event", [None, "it failed", 7, ["error"]])
async def test_something_that_is_no_failure_is_refused(manager, event):
    """With what is expected."""
    with pytest.raises(AbortConfigurationError, match="a failure event is a dict, an exception or a FailureEvent"):
        await manager.record_failure("job", event)


async def test_bad_job_ids_counts_and_windows_are_refused(manager):
    """By name and value."""
    with pytest.raises(AbortConfigurationError, match="job_id must be a text, got None"):
        await manager.evaluate_abort_conditions(None)
    with pytest.raises(AbortConfigurationError, match="count must be a whole number from 1 to 100000, got 0"):
        await manager.record_success("job", 0)
    with pytest.raises(AbortConfigurationError, match=r"time_window must be .* got 'hour'") as caught:
        await manager.get_failure_analysis("job", "hour")
    assert caught.value.context["field"] == "time_window"


# ------------------------------------------------------------------------------------------------------- analysis


async def test_the_analysis_says_what_failed_where_how_often_and_since_when(manager):
    """By category, host, type and signature with the first example; streaks; timeline; exit code."""
    noon = dt.datetime(2025, 1, 27, 12, 0, 30)  # noqa: DTZ001 - naive, as utcnow() gives it
    for number in range(3):
        try:
            raise ConnectionError(f"net::ERR_CONNECTION_REFUSED at http://u:pw@shop.example/{number}?token=t0ps3cret")
        except ConnectionError as error:
            await manager.record_failure(
                "job",
                {
                    "timestamp": noon + dt.timedelta(minutes=number // 2),
                    "severity": "error",
                    "category": "network",
                    "source": "scraper",
                    "message": str(error),
                    "context": {"url": f"http://shop.example/{number}"},
                    "stack_trace": traceback.format_exc(),
                },
            )
    await manager.record_success("job")
    await manager.record_failure("job", ValueError("no price"))
    analysis = await manager.get_failure_analysis("job")
    assert analysis["total_failures"] == 4
    assert analysis["by_category"]["network"] == 3
    assert analysis["by_severity"]["HIGH"] == 3
    assert analysis["by_host"] == {"shop.example": 3}
    first = analysis["signatures"][0]
    assert (first["count"], first["signature"]) == (3, "Failure: net::ERR_CONNECTION_REFUSED at <url>")
    assert first["example"].startswith("net::ERR_CONNECTION_REFUSED at http://***@shop.example/0")
    assert (analysis["streak"], analysis["longest_streak"], analysis["failure_rate"]) == (1, 3, 0.8)
    assert list(analysis["timeline"].values())[:2] == [2, 1]
    assert next(iter(analysis["timeline"])) == "2025-01-27T12:00+00:00"
    assert analysis["first_failure"] == "2025-01-27T12:00:30+00:00"
    assert analysis["exit_code"] == ExitCode.DEAD_LETTERS
    assert "pw" not in repr(analysis)
    assert "t0ps3cret" not in repr(analysis)
    recent = await manager.get_failure_analysis("job", dt.timedelta(hours=1))
    assert recent["total_failures"] == 1
    assert recent["by_error_type"] == {"ValueError": 1}
    assert (await manager.get_failure_analysis("nobody"))["exit_code"] == ExitCode.DONE


async def test_a_thousand_events_are_kept_and_the_counts_go_on(tree, manager):
    """Memory is bounded, figures are not."""
    for _ in range(1050):
        await manager.record_failure(
            "job", {"message": "x" * 20_000, "stack_trace": "y" * 50_000, "context": {"a": "z" * 9999}}
        )
    analysis = await manager.get_failure_analysis("job")
    assert (analysis["total_failures"], analysis["events_kept"]) == (1050, 1000)
    largest = max(len(repr(event.as_map())) for event in tree.memory.failures.jobs["job"].events)
    assert largest < 10_000


async def test_a_pattern_of_failures_is_told(manager):
    """The tenth failure of one kind is an event."""
    told = []
    manager.events.subscribe(told.append, [EventType.FAILURE_PATTERN_DETECTED])
    await fail(manager, 9)
    assert told == []
    await fail(manager, 3)
    assert [(event.job_id, event.data["count"]) for event in told] == [("job", 10)]


# -------------------------------------------------------------------------------------------------------- actions


async def test_actions_run_in_order_and_a_failing_one_does_not_keep_the_next_from_running(manager):
    """One raises, one hangs, one swallows its cancellation, one blocks its thread: the last one runs all the same."""
    ran, free = [], threading.Event()

    async def hang(job_id, reason, action):
        ran.append("hang")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)  # the end of the loop cancels it once more

    def block(job_id, reason, action):
        ran.append("block")
        free.wait(60)

    def explode(job_id, reason, action):
        ran.append("explode")
        raise SystemExit(3)

    async def shut_down(job_id, reason, action):
        ran.append((job_id, reason, action.target, action.parameters))

    for name, handler in (("cleanup", hang), ("save_state", block), ("log_event", explode), ("shutdown", shut_down)):
        manager.register_abort_action(name, handler)
    slow = {"timeout": 0.05}
    policy = await manager.create_abort_policy(
        LITERAL
        | {
            "name": "all at once",
            "abort_actions": [
                {"type": "CLEANUP", **slow},
                {"type": "save_state", **slow},
                "LOG_EVENT",
                {"type": "SHUTDOWN", "target": "browsers", "parameters": {"grace": 3}},
            ],
        }
    )
    told = []
    manager.events.subscribe(told.append, [EventType.ABORT_EXECUTED])
    assert await manager.execute_abort_actions("job", "enough", policy) is False
    free.set()
    assert ran == ["hang", "block", "explode", ("job", "enough", "browsers", {"grace": 3})]
    assert told[0].data["actions"] == ["CLEANUP: failed", "SAVE_STATE: failed", "LOG_EVENT: failed", "SHUTDOWN: done"]


async def test_the_usual_actions_succeed_without_any_handler(manager, strict):
    """A policy that names none saves, cleans up, notifies and shuts down; afterwards the job stays aborted."""
    await fail(manager, 10)
    reason = (await manager.evaluate_abort_conditions("job", strict))["reason"]
    assert await manager.execute_abort_actions(job_id="job", abort_reason=reason) is True
    answer = await manager.evaluate_abort_conditions("job", "conservative")
    assert (answer["should_abort"], answer["reason"]) == (True, reason)
    analysis = await manager.get_failure_analysis("job")
    assert analysis["exit_code"] == ExitCode.ABORTED
    assert analysis["actions"]["SHUTDOWN:done"] == 1


async def test_unknown_actions_and_handlers_are_refused(manager):
    """By name."""
    with pytest.raises(AbortConfigurationError, match=r"an abort action is one of LOG_EVENT, NOTIFY.*got 'panic'"):
        manager.register_abort_action("panic", print)
    with pytest.raises(AbortConfigurationError, match="the handler of SHUTDOWN must be a function, got None"):
        manager.register_abort_action("SHUTDOWN", None)


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_the_notification_hook_is_told(tree, asynchronous):
    """By the action NOTIFY, sync or async; not when notifications are switched off."""
    told = []

    async def hook(news):
        told.append(news)

    async with AbortManager(connection=tree, notify=hook if asynchronous else told.append) as manager:
        assert await manager.execute_abort_actions("job", "enough") is True
        assert [(news["job_id"], news["reason"]) for news in told] == [("job", "enough")]
        manager.config.abort_notification_enabled = False
        assert await manager.execute_abort_actions("job", "enough") is True
        assert len(told) == 1


async def test_a_notification_hook_that_raises_is_a_failed_action(tree):
    """It is blamed by name in the log, and the other actions run."""

    def hook(news):
        raise OSError("no mail server")

    async with AbortManager(connection=tree, notify=hook) as manager:
        assert await manager.execute_abort_actions("job", "enough") is False
        assert (await manager.get_failure_analysis("job"))["actions"]["SHUTDOWN:done"] == 1


async def test_a_job_that_nobody_asks_about_is_judged_at_intervals(tree):
    """Asked about once, it is looked at again by itself; the hook is told, once, on the asker's loop."""
    told, heard = [], asyncio.Event()

    async def hook(news):
        told.append(news)
        heard.set()

    config = AbortConfiguration(evaluation_interval=0.1)
    async with AbortManager(config, connection=tree, notify=hook) as manager:
        strict = await manager.create_abort_policy(LITERAL)
        assert (await manager.evaluate_abort_conditions("job", strict))["should_abort"] is False
        await fail(manager, 12)
        await asyncio.wait_for(heard.wait(), 30)
        assert [(news["job_id"], news["policy_id"], news["rule"]) for news in told] == [("job", "strict", "window")]


async def test_evaluations_are_told_as_events(manager, strict):
    """Every judgement, and the first one that aborts on its own."""
    told = []
    manager.events.subscribe(lambda event: told.append((event.type.value, event.severity.value)))
    await manager.evaluate_abort_conditions("job", strict)
    await fail(manager, 10)
    await manager.evaluate_abort_conditions("job", strict)
    await manager.evaluate_abort_conditions("job", strict)
    told = [entry for entry in told if entry[0] != "failure_pattern_detected"]
    assert told == [
        ("abort_evaluated", "LOW"),
        ("abort_triggered", "CRITICAL"),
        ("abort_evaluated", "CRITICAL"),
        ("abort_evaluated", "CRITICAL"),
    ]
