"""Managers of a running system: its jobs are visible through them, and can be halted by them. Real Chromium."""

import asyncio

import pytest
from harness import QUICK_ABORT, QUICK_RETRY, match_urls, wait_until

from scorewise_actors import ActorSystem, ExitCode
from scorewise_actors.demo.league import League
from scorewise_actors.demo.site import LeagueSite
from scorewise_actors.resilience import AbortConfiguration, ResilienceConfiguration, RetryManager, TreeUnavailableError

EAGER = ResilienceConfiguration(abort=AbortConfiguration(min_operations_before_eval=1))


@pytest.fixture
async def bound(storage):
    from harness import KEY

    async with ActorSystem(storage_path=storage, key=KEY, retry=QUICK_RETRY, resilience=EAGER) as system:
        yield system


async def test_a_job_of_the_system_is_seen_by_its_managers(bound, healthy_site):
    """Its successes and failures are judged and analysed, its handler's errors named with host and example."""

    async def handler(context):
        await context.page.goto(context.request.url)
        if context.request.url.endswith(("/1", "/2")):
            raise ValueError(f"no score in match {context.request.url[-1]}")

    report = await bound.run("seen", match_urls(healthy_site, 8), handler)
    assert (report.done, report.dead_lettered) == (6, 2)
    analysis = await bound.aborts.get_failure_analysis("seen")
    assert (analysis["total_failures"], analysis["successes"], analysis["exit_code"]) == (2, 6, ExitCode.DEAD_LETTERS)
    assert analysis["by_error_type"] == {"ValueError": 2}
    assert analysis["by_host"] == {"127.0.0.1": 2}
    assert analysis["signatures"][0]["signature"] == "ValueError: no score in match N"
    assert analysis["signatures"][0]["count"] == 2
    statistics = await bound.failures.get_failure_statistics("seen")
    assert statistics["total_failures"] == 2
    evaluation = await bound.aborts.evaluate_abort_conditions("seen")
    assert evaluation["should_abort"] is False
    assert evaluation["policy_id"] == "(job)"
    assert evaluation["evidence"]["operations"] == 8
    assert evaluation["evidence"]["failures"] == 2


async def test_the_verdict_of_the_jobs_own_judge_is_the_managers_answer(bound):
    """A job that its judge halted should be aborted by any policy, with the judge's reason and the exit code."""
    with LeagueSite(League(seed=3, matches=60, faults={})) as site:
        urls = match_urls(site, 60)
    report = await bound.run("halted", urls, visit, abort=QUICK_ABORT)  # the site is gone: connections are refused
    assert report.exit_code == ExitCode.ABORTED
    for policy in (None, "conservative"):
        evaluation = await bound.aborts.evaluate_abort_conditions("halted", policy)
        assert evaluation["should_abort"] is True
        assert evaluation["reason"] == report.verdict.reason
        assert evaluation["exit_code"] == ExitCode.ABORTED
    analysis = await bound.aborts.get_failure_analysis("halted")
    assert analysis["by_category"] == {"network": analysis["total_failures"]}
    assert analysis["verdict"] == {"rule": report.verdict.rule, "reason": report.verdict.reason}


async def visit(context):
    await context.page.goto(context.request.url)


async def test_abort_actions_halt_a_running_job(bound, healthy_site):
    """SHUTDOWN drains it: the pages in hand are done, the verdict is ours, the rest is pending."""
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def handler(context):
        await context.page.goto(context.request.url)
        loop.call_soon_threadsafe(go_on.set)

    running = asyncio.create_task(bound.run("stopped", match_urls(healthy_site, 60), handler, max_concurrency=1))
    await go_on.wait()
    assert await bound.aborts.execute_abort_actions("stopped", "the league was cancelled") is True
    report = await running
    assert report.verdict.outcome == "aborted"
    assert report.verdict.reason == "the league was cancelled"
    assert report.exit_code == ExitCode.ABORTED
    assert report.balanced
    evaluation = await bound.aborts.evaluate_abort_conditions("stopped")
    assert (evaluation["should_abort"], evaluation["reason"]) == (True, "the league was cancelled")


async def test_a_new_run_of_a_job_is_judged_afresh(bound, healthy_site):
    """What an earlier run was halted for is not held against the next one."""
    await bound.aborts.execute_abort_actions("again", "by hand")
    assert (await bound.aborts.evaluate_abort_conditions("again"))["should_abort"] is True
    report = await bound.run("again", match_urls(healthy_site, 2), visit)
    assert report.exit_code == ExitCode.DONE
    assert (await bound.aborts.evaluate_abort_conditions("again"))["should_abort"] is False


async def test_deaths_of_browsers_are_counted_for_the_job(bound, healthy_site):
    """Restarts by role, and the crashes that the judge saw."""
    from harness import actors

    killed = []

    async def handler(context):
        await context.page.goto(context.request.url)
        if not killed:
            killed.append(1)
            actors(bound, "browser")[0].release()
            await context.page.wait_for_timeout(60_000)

    report = await bound.run("crashing", match_urls(healthy_site, 6), handler)
    assert report.done == 6
    restarts = (await bound.aborts.get_failure_analysis("crashing"))["restarts"]
    assert restarts.get("browser", 0) >= 1


async def test_managers_of_a_system_that_does_not_run_say_so(storage):
    """Before start and after stop; what they do without an actor still works."""
    from harness import KEY

    system = ActorSystem(storage_path=storage, key=KEY)
    with pytest.raises(TreeUnavailableError, match="the system is not running"):
        await system.aborts.get_failure_analysis("job")
    assert await system.retries.execute_with_retry(lambda: 7) == 7


async def test_managers_can_be_bound_to_a_system_by_hand(bound):
    """One with a configuration of its own shares policies and records with those of the system."""
    mine = RetryManager(connection=bound.resilience)
    policy = await mine.create_retry_policy({"name": "mine", "max_attempts": 1})
    assert await bound.retries.calculate_backoff_delay(1, policy) > 0
    await mine.close()
    assert bound.resilience.running() is not None


async def test_actors_of_the_branch_may_die_while_jobs_run(bound, healthy_site):
    """Their memory outlives them, and the job does not notice."""
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def handler(context):
        await context.page.goto(context.request.url)
        loop.call_soon_threadsafe(started.set)
        raise ValueError("no score")

    running = asyncio.create_task(bound.run("robust", match_urls(healthy_site, 6), handler))
    await started.wait()
    for role in ("aborts", "failures", "retries"):
        ref = bound.runtime.ref(f"system/resilience/{role}")
        actor = ref.actor
        actor.on_receive = None  # it crashes at its next message
        ref.tell("anything")
        await asyncio.to_thread(wait_until, lambda ref=ref, actor=actor: ref.is_up() and ref.actor is not actor)
    report = await running
    assert report.dead_lettered == 6
    assert (await bound.failures.get_failure_statistics("robust"))["total_failures"] >= 1
