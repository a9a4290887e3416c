"""Planted bugs in the managers and their actors, each killed by a named test.

A mutated module's functions and methods are put in place of the real ones, and the named test is run as it stands.
"""

import asyncio
import importlib
import importlib.util
import inspect
import sys
import types
from pathlib import Path

import pytest

from scorewise_actors.resilience import AbortManager, FailureHandler, RetryManager, connection
from scorewise_actors.resilience.connection import PrivateTree

HERE = Path(__file__).parent
DEADLINE = 8.0
"""Seconds; a bug that makes a test hang is found as well."""
PACKAGE = "scorewise_actors"

MUTANTS = {
    "later tries are not limited": (
        "actors.retry_desk",
        "len(held) < waiting[0][0].limit",
        "True",
        "test_retry_manager:test_later_tries_run_a_few_at_a_time_and_first_ones_all_at_once",
    ),
    "taken slots are forgotten": (
        "actors.retry_desk",
        "held = [slot for slot in account.held if not slot.freed]",
        "held = []",
        "test_retry_manager:test_later_tries_run_a_few_at_a_time_and_first_ones_all_at_once",
    ),
    "the budget binds nobody": (
        "actors.retry_desk",
        "granted = granted or wish.refused_at == wish.first_tries",
        "granted = True",
        "test_retry_manager:test_the_budget_holds_retries_back_while_other_operations_begin",
    ),
    "the budget binds for ever": (
        "actors.retry_desk",
        "granted = granted or wish.refused_at == wish.first_tries",
        "pass",
        "test_retry_manager:test_the_budget_holds_retries_back_while_other_operations_begin",
    ),
    "an outcome that comes twice counts twice": (
        "actors.abort_judges",
        "if message.id in job.ids:",
        "if False:",
        "test_abort_manager:test_a_failure_reported_twice_under_one_id_counts_once",
    ),
    "a new policy knows nothing of before": (
        "actors.abort_judges",
        "_replayed(question.policy, job)",
        "AbortState()",
        "test_abort_manager:test_a_policy_may_be_asked_about_after_the_fact",
    ),
    "the floor is not looked at": (
        "actors.abort_judges",
        "and job.operations < floor:",
        "and False:",
        "test_abort_manager:test_a_job_below_min_operations_is_never_aborted",
    ),
    "a verdict that came too early is kept": (
        "actors.abort_judges",
        "            return Judgement(decision, below_floor=True)",
        "            job.sights[policy_id] = state; return Judgement(decision, False, True)",
        "test_abort_manager:test_what_was_too_early_is_forgotten_when_all_is_well_again",
    ),
    "a verdict is taken back": (
        "actors.abort_judges",
        "        job.sights[policy_id] = state",
        "        pass",
        "test_abort_manager:test_a_verdict_stands",
    ),
    "a verdict is told at every judgement": (
        "actors.abort_judges",
        "policy_id not in job.told:",
        "True:",
        "test_abort_manager:test_evaluations_are_told_as_events",
    ),
    "nobody looks by himself": (
        "actors.abort_judges",
        "if every and not self._looks:",
        "if False:",
        "test_abort_manager:test_a_job_that_nobody_asks_about_is_judged_at_intervals",
    ),
    "a failure that comes twice counts twice": (
        "actors.failure_ledger",
        "if not _is_new(record, event.id):",
        "if False:",
        "test_abort_manager:test_a_failure_reported_twice_under_one_id_counts_once",
    ),
    "a success ends no streak": (
        "actors.failure_ledger",
        "record.streak = 0",
        "pass",
        "test_abort_manager:test_the_analysis_says_what_failed_where_how_often_and_since_when",
    ),
    "a pattern is told again and again": (
        "actors.failure_ledger",
        "known.count in _PATTERN_AT",
        "known.count > 9",
        "test_abort_manager:test_a_pattern_of_failures_is_told",
    ),
    "a call is not sent again": (
        "resilience.connection",
        "                if spec is not None:\n",
        "                raise\n                if spec is not None:\n",
        "test_connection:test_a_call_survives_the_death_of_its_actor",
    ),
    "calls have no deadline": (
        "resilience.connection",
        "asyncio.timeout(deadline)",
        "asyncio.timeout(None)",
        "test_connection:test_a_stuck_actor_fails_the_call_by_deadline_and_the_loop_goes_on",
    ),
    "the correlation id stays at home": (
        "resilience.connection",
        "tracked = Tracked(message, correlation_id())",
        "tracked = Tracked(message, None)",
        "test_connection:test_a_correlation_id_reaches_the_actor_and_ends_with_the_message",
    ),
    "a closed manager goes on": (
        "resilience.connection",
        "if not self._seat.alive:",
        "if False:",
        "test_connection:test_a_closed_manager_says_so",
    ),
    "a tree outlives its managers": (
        "resilience.connection",
        "if self._members > 0:",
        "if self._members >= 0:",
        "test_connection:test_the_tree_starts_on_first_use_and_ends_with_its_last_manager",
    ),
    "retries multiply": (
        "resilience.retry",
        "if isinstance(error, MaxRetriesExceededError | PermanentFailureError):",
        "if False:",
        "test_retry_manager:test_retries_do_not_multiply",
    ),
    "a retry waits for its own slot": (
        "resilience.retry",
        "            if account not in holding:\n                self._manager._require_open()",
        "            if True:\n                self._manager._require_open()",
        "test_retry_manager:test_a_retry_inside_of_a_retry_needs_no_second_slot",
    ),
    "the cause is lost": (
        "resilience.retry",
        ") from failed.error\n\n    def _tell",
        ") from None\n\n    def _tell",
        "test_retry_manager:test_exhausted_tries_raise_with_the_last_failure_as_cause",
    ),
    "Retry-After is not read": (
        "resilience.facts",
        "return retry_after_of(failure.headers, now_epoch=now_epoch)",
        "return None",
        "test_retry_manager:test_a_pause_beyond_the_cap_is_handed_to_the_caller",
    ),
    "a coroutine is waited for as long as it likes": (
        "resilience.callbacks",
        "asyncio.wait({task}, timeout=timeout)",
        "asyncio.wait({task})",
        "test_abort_manager:test_actions_run_in_order_and_a_failing_one_does_not_keep_the_next_from_running",
    ),
    "a failing action ends the abort": (
        "resilience.abort_actions",
        'return "failed"',
        "raise",
        "test_abort_manager:test_actions_run_in_order_and_a_failing_one_does_not_keep_the_next_from_running",
    ),
    "categories win over error types": (
        "resilience.failure",
        "(*(kind.lower() for kind in event.error_types), event.category.value, ANY)",
        "(event.category.value, *(kind.lower() for kind in event.error_types), ANY)",
        "test_failure_handler:test_the_nearest_handler_wins",
    ),
    "nonsense of a handler is passed on": (
        "resilience.failure",
        "except (CallbackFailed, _Nonsense) as failed:",
        "except ZeroDivisionError as failed:",
        "test_failure_handler:test_what_a_bad_handler_did_is_in_the_answer",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_found(name, monkeypatch):
    """The named test fails, or hangs, with the bug; the test below shows that it passes without."""
    module, right, wrong, test = MUTANTS[name]
    plant(f"{PACKAGE}.{module}", right, wrong, monkeypatch)
    found = asyncio.run(failure_of(test))
    assert found is not None, f"{test} passes with the bug {name!r}"


@pytest.mark.parametrize("test", sorted({test for _, _, _, test in MUTANTS.values()}))
def test_the_named_tests_pass_without_a_bug(test):
    """Run in the same way."""
    found = asyncio.run(failure_of(test))
    assert found is None, found


def plant(module, right, wrong, monkeypatch):
    """Put the functions and methods of the mutated module in place of the real ones."""
    real = importlib.import_module(module)
    source = Path(real.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1, f"{right!r} stands {source.count(right)} times in {module}"
    mutated = types.ModuleType(module)
    mutated.__file__ = real.__file__
    monkeypatch.setitem(sys.modules, f"{module} mutated", mutated)
    exec(compile(source.replace(right, wrong), real.__file__, "exec"), mutated.__dict__)
    for name, thing in vars(mutated).items():
        if isinstance(thing, type) and thing.__module__ == module:
            own = getattr(real, name)
            for attribute, value in vars(thing).items():
                if inspect.isfunction(value):
                    # the classes of the real module, so that errors and values are still the same ones
                    monkeypatch.setattr(own, attribute, rebound(value, real))
        elif inspect.isfunction(thing) and thing.__module__ == module:
            replaced = getattr(real, name)
            for user in [module for key, module in sys.modules.items() if key.startswith(PACKAGE)]:
                if vars(user).get(name) is replaced:  # also where it was imported by name
                    monkeypatch.setattr(user, name, rebound(thing, real))


def rebound(function, real):
    """The function with the globals of the real module; one that needs its class cell is left as it is there."""
    if function.__closure__ is not None:
        cell = getattr(real, function.__qualname__.split(".")[0], None)
        free = function.__code__.co_freevars
        closure = tuple(
            types.CellType(cell) if name == "__class__" else old
            for name, old in zip(free, function.__closure__, strict=True)
        )
    else:
        closure = None
    made = types.FunctionType(function.__code__, real.__dict__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


async def failure_of(test):
    """What the test fails with, None if it passes."""
    file, _, name = test.partition(":")
    module = loaded(file)
    function = getattr(module, name)
    tree = PrivateTree()
    kind = {"test_retry_manager": RetryManager, "test_abort_manager": AbortManager}.get(file)
    try:
        async with asyncio.timeout(DEADLINE):
            if kind is None:
                handler = FailureHandler(connection=tree, handler_timeout=0.2)
                await function(**given(function, {"handler": handler}))
                await handler.close()
                return None
            async with kind(connection=tree) as manager:
                known = {"manager": manager, "tree": tree}
                if kind is RetryManager:
                    known["quick"] = await manager.create_retry_policy(module.QUICK)
                else:
                    known["strict"] = await manager.create_abort_policy(module.LITERAL)
                await function(**given(function, known))
        return None
    except (Exception, pytest.fail.Exception) as error:
        return error
    finally:
        for left in list(connection._private_trees):  # a test that failed has closed nothing
            if left.running() is not None:
                await asyncio.to_thread(left.running().stop, 20)


def given(function, known):
    return {name: known[name] for name in inspect.signature(function).parameters}


def loaded(file):
    spec = importlib.util.spec_from_file_location(f"mutated_{file}", HERE / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
