"""RetryManager: tries, waits, policies from dicts, classification, slots, budget, and what passes through."""

import asyncio
import json
import random
import time

import attrs
import pykka
import pytest
from harness import wait_until

from scorewise_actors import HttpStatusError
from scorewise_actors.events import EventType
from scorewise_actors.messages.resilience import Withdraw
from scorewise_actors.resilience import (
    MaxRetriesExceededError,
    PermanentFailureError,
    RetryConfiguration,
    RetryConfigurationError,
    RetryExecutionError,
    RetryManager,
    RetryPolicyNotFoundError,
    TreeUnavailableError,
)
from scorewise_actors.resilience.connection import PrivateTree
from scorewise_actors.resilience.definitions import retry_policy
from scorewise_actors.resilience_memory import NamedRetry
from supervisors.exits import ActorExit, ExitKind, ExitReason, Killed
from supervisors.spec import Ladder

QUICK = {
    "name": "quick",
    "max_attempts": 3,
    "base_delay": 0.1,
    "multiplier": 1,
    "max_delay": 0.1,
    "jitter_factor": 0.0,
    "failure_classifier": {"transient_patterns": ["timeout"], "permanent_patterns": ["403", "authentication.*failed"]},
}


class Operation:
    """Fails with the given errors, one after the other, then returns ``"ok"``."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = []

    async def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        if self.errors:
            raise self.errors.pop(0)
        return "ok"


@pytest.fixture
async def tree():
    return PrivateTree()


@pytest.fixture
async def manager(tree):
    async with RetryManager(connection=tree) as manager:
        yield manager


@pytest.fixture
async def quick(manager):
    return await manager.create_retry_policy(QUICK)


async def test_an_operation_that_succeeds_starts_no_tree(tree, manager):
    """The success path talks to nobody."""
    assert await manager.execute_with_retry(Operation(), "exponential_backoff", 1, key=2) == "ok"
    assert tree.running() is None


async def test_a_transient_failure_is_tried_again_with_the_same_arguments(manager, quick):
    """Each try calls the operation anew."""
    operation = Operation(TimeoutError("connection timeout"), TimeoutError("timeout"))
    assert await manager.execute_with_retry(operation, quick, "a", b="c") == "ok"
    assert operation.calls == [(("a",), {"b": "c"})] * 3


async def test_plain_functions_may_be_tried_as_well(manager, quick):
    """A function that returns a value or an awaitable is called as it is."""
    assert await manager.execute_with_retry(lambda: 7, quick) == 7
    assert await manager.execute_with_retry(lambda: asyncio.sleep(0, 8), quick) == 8


async def test_exhausted_tries_raise_with_the_last_failure_as_cause(manager, quick):
    """The error counts the tries and says what failed."""
    last = TimeoutError("third timeout")
    operation = Operation(TimeoutError("timeout"), TimeoutError("timeout"), last)
    with pytest.raises(MaxRetriesExceededError, match=r"3 tries failed .*third timeout") as raised:
        await manager.execute_with_retry(operation=operation, retry_policy_id=quick)
    assert raised.value.__cause__ is last
    assert raised.value.context["attempts"] == 3
    assert raised.value.error_code == "MAX_RETRIES_EXCEEDED"


@pytest.mark.parametrize("error", [RuntimeError("HTTP 403 authentication failed"), HttpStatusError(404, "http://h/x")])
async def test_a_permanent_failure_is_not_tried_again(manager, quick, error):
    """By a pattern of the policy as by the table."""
    operation = Operation(error)
    with pytest.raises(PermanentFailureError) as raised:
        await manager.execute_with_retry(operation, quick)
    assert raised.value.__cause__ is error
    assert len(operation.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError("by the test"),
        Killed(),
        ActorExit(ExitReason(ExitKind.NORMAL)),
        pykka.ActorDeadError("a kernel's word"),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_control_flow_passes_through(manager, quick, error):
    """Cancellation, interrupts and the kernel's own exits are neither retried nor wrapped."""
    operation = Operation(error)
    with pytest.raises(type(error)) as raised:
        await manager.execute_with_retry(operation, quick)
    assert raised.value is error
    assert len(operation.calls) == 1


async def test_cancelling_while_it_waits_ends_it_at_once(manager):
    """A task that is cancelled between two tries does not wake up again, and leaves no slot behind."""
    slow = await manager.create_retry_policy(QUICK | {"name": "slow", "base_delay": 60, "max_delay": 60})
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    manager.events.subscribe(lambda _: loop.call_soon_threadsafe(told.set), ["retry_attempted"])
    operation = Operation(TimeoutError("timeout"))
    task = asyncio.create_task(manager.execute_with_retry(operation, slow))
    await told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(operation.calls) == 1


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unspeakable(), "Unspeakable: its text cannot be read"),
        (ExceptionGroup("two", [TimeoutError("the first"), ValueError("the second")]), "TimeoutError: the first"),
        (ValueError("x " * 1_000_000), "ValueError: x x "),
    ],
    ids=["unreadable", "group", "huge"],
)
async def test_whatever_a_failure_says_it_is_the_cause(manager, quick, error, words):
    """Its class may raise in place of its text, it may be several, or a whole page long."""
    with pytest.raises(MaxRetriesExceededError, match=words) as raised:
        await manager.execute_with_retry(Operation(*[error] * 3), quick)
    assert raised.value.__cause__ is error
    assert len(str(raised.value)) < 1000


async def test_retries_do_not_multiply(manager, quick):
    """An operation that has used up its own tries inside of another one is not tried again by that."""
    inner = Operation(*[TimeoutError("timeout")] * 9)

    async def outer():
        return await manager.execute_with_retry(inner, quick)

    with pytest.raises(MaxRetriesExceededError):
        await manager.execute_with_retry(outer, quick)
    assert len(inner.calls) == 3


async def test_switched_off_it_calls_once_and_raises_what_came(tree):
    """``enabled=False``: no retry, no wrapping, no actor, and no need for a known policy."""
    async with RetryManager(RetryConfiguration(enabled=False), connection=tree) as manager:
        error = TimeoutError("timeout")
        with pytest.raises(TimeoutError) as raised:
            await manager.execute_with_retry(Operation(error), "whatever")
        assert raised.value is error
        assert await manager.execute_with_retry(Operation(), "whatever") == "ok"
    assert tree.running() is None


async def test_without_classification_everything_is_transient(tree):
    """``failure_classification_enabled=False``: also what the policy calls permanent is tried again."""
    async with RetryManager(RetryConfiguration(failure_classification_enabled=False), connection=tree) as manager:
        quick = await manager.create_retry_policy(QUICK)
        assert await manager.execute_with_retry(Operation(RuntimeError("403"), ValueError("x")), quick) == "ok"
        with pytest.raises(pykka.ActorDeadError):
            await manager.execute_with_retry(Operation(pykka.ActorDeadError("gone")), quick)


class Response:
    def __init__(self, status, headers):
        self.status = status
        self.headers = headers


class ClientError(Exception):
    def __init__(self, **attributes):
        super().__init__("the client's words")
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (HttpStatusError(429, "http://h/", {"Retry-After": "0.2"}), 0.2),
        (ClientError(response=Response(429, {"retry-after": "0.2"})), 0.2),
        (ClientError(status_code=503, headers={"Retry-After": "0.2"}), 0.2),
        (ClientError(status=429, retry_after=0.2), 0.2),
        (
            ClientError(
                response=Response(
                    429,
                    {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:49:38 GMT"},
                )
            ),
            1.0,
        ),
    ],
)
async def test_retry_after_is_a_floor_for_the_wait(manager, quick, error, pause):
    """In seconds or as a date against the server's own clock, wherever the client's error carries it."""
    waits = []
    manager.events.subscribe(lambda event: waits.append(event.data["delay"]), [EventType.RETRY_ATTEMPTED])
    began = time.monotonic()
    assert await manager.execute_with_retry(Operation(error), quick) == "ok"
    assert time.monotonic() - began >= pause
    assert waits == [pytest.approx(pause)]


async def test_a_pause_beyond_the_cap_is_handed_to_the_caller(manager):
    """Nobody sleeps for an hour inside of a call: the error says how long the server wants to be left alone."""
    policy = await manager.create_retry_policy(QUICK | {"name": "capped", "retry_after_cap": 10})
    with pytest.raises(MaxRetriesExceededError, match="asks for a pause of 3600 s, more than the 10 s") as raised:
        await manager.execute_with_retry(Operation(HttpStatusError(429, "http://h/", {"Retry-After": "3600"})), policy)
    assert raised.value.error_code == "RETRY_AFTER_TOO_LONG"
    assert raised.value.context["retry_after"] == 3600


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (HttpStatusError(429, "http://h/", {"Retry-After": "36000000000"}), 36_000_000_000),
        (HttpStatusError(429, "http://h/", {"Retry-After": "9" * 400}), 1e15),
        (ClientError(status=429, retry_after=10**400), 1e15),
        (ClientError(status=429, retry_after=float("inf")), 1e15),
    ],
    ids=["a thousand years", "400 digits", "a huge number", "for ever"],
)
async def test_a_pause_of_absurd_length_is_a_long_one(manager, quick, error, pause):
    """And not an unreadable one, after which the server would be asked again at once."""
    with pytest.raises(MaxRetriesExceededError) as raised:
        await manager.execute_with_retry(Operation(error), quick)
    assert (raised.value.error_code, raised.value.context["retry_after"]) == ("RETRY_AFTER_TOO_LONG", pause)


async def test_nominal_waits_double(tree):
    """1, 2, 4, 8, 16 seconds after the first to fifth failed try, exactly, where jitter is off."""
    async with RetryManager(RetryConfiguration(jitter_enabled=False), connection=tree) as manager:
        waits = [await manager.calculate_backoff_delay(n, "exponential_backoff") for n in range(1, 6)]
        assert waits == [1, 2, 4, 8, 16]


async def test_jitter_comes_from_the_managers_own_source(tree):
    """Two managers with the same seed wait the same; no global state is used."""
    async with (
        RetryManager(connection=tree, rng=random.Random(5)) as one,
        RetryManager(connection=tree, rng=random.Random(5)) as two,
    ):
        random.seed(1)
        first = [await one.calculate_backoff_delay(n) for n in (1, 2, 3)]
        random.seed(2)
        assert [await two.calculate_backoff_delay(n) for n in (1, 2, 3)] == first
        assert first != [1, 2, 4]


@pytest.mark.parametrize("attempt", [0, -1, True, 1.0, "1"])
async def test_attempts_count_from_one(manager, attempt):
    """Another number is refused, with the value."""
    with pytest.raises(RetryConfigurationError, match="counts failed tries from 1, got"):
        await manager.calculate_backoff_delay(attempt, "exponential_backoff")


async def test_failures_are_classified_by_table_and_policy(manager, quick):
    """``transient`` or ``permanent``; a policy's words come on top of the table."""
    assert await manager.classify_failure(ConnectionResetError("reset")) == "transient"
    assert await manager.classify_failure(HttpStatusError(404, "http://h/timeout-page")) == "permanent"
    assert await manager.classify_failure(RuntimeError("HTTP 403")) == "transient"
    assert await manager.classify_failure(RuntimeError("HTTP 403"), quick) == "permanent"


async def test_a_policy_with_its_classifier_travels_as_json():
    """It comes back equal, its patterns and statuses as well; a classifier that is none is refused."""
    for given in (QUICK, {"name": "plain"}, {"name": "x", "failure_classifier": {"transient_patterns": ["flood"]}}):
        _, policy = retry_policy(given)
        assert NamedRetry.from_json(json.loads(json.dumps(policy.to_json()))) == policy
    with pytest.raises(ValueError, match=r"NamedRetry\.classifier must be a FailureClassifier, got 5"):
        NamedRetry(classifier=5)


async def test_an_unknown_policy_is_named_with_those_there_are(manager, quick):
    """Also before anything was tried."""
    operation = Operation()
    with pytest.raises(RetryPolicyNotFoundError, match=r"no retry policy 'nonsense'; known are aggressive, .*quick"):
        await manager.execute_with_retry(operation, "nonsense")
    assert operation.calls == []


async def test_policies_keep_apart_under_one_name(manager, quick):
    """The same policy again is the same id; another one, or a preset's name, gets a number."""
    assert await manager.create_retry_policy(QUICK) == "quick"
    assert await manager.create_retry_policy(QUICK | {"max_attempts": 7}) == "quick-2"
    assert await manager.create_retry_policy(QUICK | {"name": "conservative"}) == "conservative-2"


async def test_policies_survive_the_retry_desk(tree, manager, quick):
    """A restarted actor finds what its predecessor knew."""
    kill(tree, "retries")
    assert await manager.create_retry_policy(QUICK | {"max_attempts": 7}) == "quick-2"
    assert await manager.execute_with_retry(Operation(TimeoutError("timeout")), quick) == "ok"


def kill(tree, role):
    runtime = tree.running()
    actor = runtime.ref(f"resilience/{role}").actor
    runtime.kill(actor, Ladder(stop=0, cancel=0, release=0), ExitReason(ExitKind.KILLED, "by the test"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1 to 100, got 0"),
        ({"max_attempts": 101}, "max_attempts must be a whole number from 1 to 100, got 101"),
        ({"max_attempts": True}, "max_attempts must be"),
        ({"base_delay": 0.05}, "base_delay must be a number from 0.1 to 60, got 0.05"),
        ({"base_delay": float("nan")}, "base_delay must be"),
        ({"multiplier": 11}, "multiplier must be a number from 1 to 10, got 11"),
        ({"max_delay": 0.1, "base_delay": 2}, r"max_delay must be at least base_delay \(2 s\), got 0.1"),
        ({"jitter_factor": 1.5}, "jitter_factor must be a number from 0 to 1, got 1.5"),
        ({"jitter": "sideways"}, "kind must be one of proportional"),
        ({"total_timeout": 0}, "total_timeout must be"),
        ({"name": ""}, "name must be a text"),
        ({"max_attemps": 3}, "unknown key 'max_attemps'; the keys are name, max_attempts"),
        ({"failure_classifier": []}, "failure_classifier: expected a dict"),
        ({"failure_classifier": {"patterns": []}}, "failure_classifier: unknown key 'patterns'"),
        ({"failure_classifier": {"transient_patterns": "timeout"}}, "transient_patterns must be a list, got 'timeout'"),
        ({"failure_classifier": {"transient_patterns": ["("]}}, "is not a regular expression"),
        ({"failure_classifier": {"retryable_status_codes": [99]}}, "status must be a whole number from 100 to 999"),
    ],
)
async def test_a_bad_policy_is_refused_by_name_value_and_range(manager, change, words):
    """Nothing is kept of it."""
    with pytest.raises(RetryConfigurationError, match=words):
        await manager.create_retry_policy(QUICK | change)


async def test_a_policy_that_is_no_dict_is_refused(manager):
    """With the keys that are expected."""
    with pytest.raises(RetryConfigurationError, match="expected a dict with the keys name, max_attempts"):
        await manager.create_retry_policy("exponential_backoff")


async def test_a_coroutine_in_place_of_the_function_is_explained(manager):
    """It could be awaited once only; it is closed, so that Python does not complain on top."""
    operation = Operation()
    with pytest.raises(RetryConfigurationError, match="takes the function, not what it returned"):
        await manager.execute_with_retry(operation(), "exponential_backoff")
    with pytest.raises(RetryConfigurationError, match="operation must be a function, got str"):
        await manager.execute_with_retry("operation", "exponential_backoff")


async def test_later_tries_run_a_few_at_a_time_and_first_ones_all_at_once(tree):
    """``max_concurrent_retries`` limits later tries; no first try waits for it."""
    async with RetryManager(RetryConfiguration(max_concurrent_retries=2), connection=tree) as manager:
        quick = await manager.create_retry_policy(QUICK)
        first, later, most = 0, 0, [0, 0]
        all_first = asyncio.Event()

        async def operation(tries):
            nonlocal first, later
            tries.append(1)
            if len(tries) == 1:
                first += 1
                most[0] = max(most[0], first)
                if first == 8:
                    all_first.set()
                await all_first.wait()
                raise TimeoutError("timeout")
            later += 1
            most[1] = max(most[1], later)
            await asyncio.sleep(0.01)
            later -= 1
            return "ok"

        done = await asyncio.gather(*(manager.execute_with_retry(operation, quick, []) for _ in range(8)))
        assert done == ["ok"] * 8
        assert most == [8, 2]


async def test_a_retry_inside_of_a_retry_needs_no_second_slot(tree):
    """With one slot only, an operation that retries something of its own does not wait for itself."""
    async with RetryManager(RetryConfiguration(max_concurrent_retries=1), connection=tree) as manager:
        quick = await manager.create_retry_policy(QUICK)
        inner, errors = Operation(TimeoutError("timeout"), TimeoutError("timeout")), [TimeoutError("timeout")]

        async def outer():
            if errors:
                raise errors.pop()
            return await manager.execute_with_retry(inner, quick)

        async with asyncio.timeout(30):
            assert await manager.execute_with_retry(outer, quick) == "ok"


async def test_slots_survive_the_retry_desk_and_are_given_back(tree):
    """A desk that dies while a slot is taken does not hand it out twice, and gets it back later."""
    async with RetryManager(RetryConfiguration(max_concurrent_retries=1), connection=tree) as manager:
        quick = await manager.create_retry_policy(QUICK)
        inside, go_on, running = asyncio.Event(), asyncio.Event(), []

        async def operation(tries):
            tries.append(1)
            if len(tries) == 1:
                raise TimeoutError("timeout")
            running.append(1)
            assert len(running) == 1
            inside.set()
            await go_on.wait()
            running.pop()
            return "ok"

        one = asyncio.create_task(manager.execute_with_retry(operation, quick, []))
        await inside.wait()
        two = asyncio.create_task(manager.execute_with_retry(operation, quick, []))
        desk = tree.running().ref("resilience/retries").actor
        await asyncio.to_thread(wait_until, lambda: desk._waiting.get(manager._account))
        assert len(tree.memory.retry.accounts[manager._account].held) == 1
        kill(tree, "retries")
        await manager._call("retries", Withdraw(manager._account, "any", 0))  # served by the new desk
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(one, two) == ["ok", "ok"]


async def test_a_stuck_retry_desk_fails_the_retry_and_keeps_the_failure(tree, manager, quick, monkeypatch):
    """The operation's own failure is the cause of the error."""
    monkeypatch.setattr("scorewise_actors.resilience.connection.CALL_DEADLINE", 0.2)
    monkeypatch.setitem(type(manager)._call.__kwdefaults__, "deadline", 0.2)
    actor = tree.running().ref("resilience/retries").actor
    stuck = asyncio.Event()
    usual, loop = actor.on_receive, asyncio.get_running_loop()

    def hang(message):
        loop.call_soon_threadsafe(stuck.set)
        time.sleep(1)
        return usual(message)

    actor.on_receive = hang
    error = TimeoutError("timeout")
    with pytest.raises(RetryExecutionError, match=r"gave no answer within 0.2 s") as raised:
        await manager.execute_with_retry(Operation(error), quick)
    assert raised.value.__cause__ is error
    assert stuck.is_set()


async def test_the_budget_holds_retries_back_while_other_operations_begin(tree, manager, quick):
    """With the budget used up, a retry waits as long as new operations come, and goes when none do."""
    await manager.execute_with_retry(Operation(TimeoutError("timeout")), quick)
    account = tree.memory.retry.accounts[manager._account]
    account.budget = attrs.evolve(account.budget, tokens=0.0, ratio=0.0)
    operation = Operation(TimeoutError("timeout"))
    retried = asyncio.create_task(manager.execute_with_retry(operation, quick))
    for _ in range(30):
        await manager.execute_with_retry(Operation(), quick)
        await asyncio.sleep(0.02)
    assert len(operation.calls) == 1
    assert await retried == "ok"


async def test_events_tell_the_story_of_an_operation(manager, quick):
    """Attempted, succeeded, exhausted, permanent; without secrets."""
    told = []
    manager.events.subscribe(lambda event: told.append(event))
    await manager.execute_with_retry(Operation(TimeoutError("timeout at http://me:secret@h/?token=abc")), quick)
    with pytest.raises(MaxRetriesExceededError):
        await manager.execute_with_retry(Operation(*[TimeoutError("timeout")] * 3), quick)
    with pytest.raises(PermanentFailureError):
        await manager.execute_with_retry(Operation(RuntimeError("403")), quick)
    attempted = ["retry_attempted"]
    assert [event.type for event in told] == [
        *attempted, "retry_succeeded", *attempted * 2, "retry_exhausted", "permanent_failure",
    ]  # fmt: skip
    assert "secret" not in str(told[0]) + repr(told[0].data)
    assert "abc" not in repr(told[0].data)


async def test_transient_failures_recover_by_themselves_in_time(tree):
    """SC-001 and SC-002: of 200 operations one in ten fails once; all succeed, after the wait of a first retry."""
    async with RetryManager(connection=tree) as manager:
        delays = []
        manager.events.subscribe(lambda event: delays.append(event.data["delay"]), ["retry_attempted"])

        async def one(number):
            operation = Operation(*([ConnectionResetError("reset by peer")] if number % 10 == 0 else []))
            return await manager.execute_with_retry(operation, "exponential_backoff")

        assert await asyncio.gather(*map(one, range(200))) == ["ok"] * 200
        assert len(delays) == 20
        assert max(delays) < 2, "seconds, of the 30 that there are"


async def test_after_close_nothing_is_tried(tree, quick):
    """A closed manager says so, also to an operation that waits for its next try."""
    manager = RetryManager(connection=tree)
    slow = await manager.create_retry_policy(QUICK | {"name": "slow", "base_delay": 0.3, "max_delay": 0.3})
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    manager.events.subscribe(lambda _: loop.call_soon_threadsafe(told.set), ["retry_attempted"])
    error = TimeoutError("timeout")
    waiting = asyncio.create_task(manager.execute_with_retry(Operation(error), slow))
    await told.wait()
    await manager.close()
    with pytest.raises(TreeUnavailableError, match="RetryManager was closed") as raised:
        await waiting
    assert raised.value.__cause__ is error
    with pytest.raises(TreeUnavailableError, match="RetryManager was closed"):
        await manager.execute_with_retry(Operation(), slow)
