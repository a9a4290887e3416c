"""Whole jobs on real pages: what is recorded, what is reported, what a second run does."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import KEY, QUICK, actors, match_urls, wait_until

from policies.abort import AbortPolicy
from scorewise_actors import ActorSystem, ConfigurationError, ExitCode, HttpStatusError, Request
from scorewise_actors.checkpoints import CheckpointLocked, CheckpointNotSerializable
from scorewise_actors.demo.league import Fault, League
from scorewise_actors.demo.scraper import index_request, scrape
from scorewise_actors.demo.site import LeagueSite


async def title(context):
    response = await context.page.goto(context.request.url)
    if response.status >= 400:
        raise HttpStatusError(response.status, context.request.url)
    return {"url": context.request.url, "title": await context.page.title()}


def test_seven_of_ten_pages_succeed_and_three_are_dead_letters(system, healthy_site):
    """10 pages of which 3 fail: 7 results, 3 dead letters with error class, attempts and message."""
    urls = match_urls(healthy_site, 7) + [f"{healthy_site.url}/missing/{n}" for n in range(2)] + ["http://127.0.0.1:9/"]
    report = system.run_blocking("ten", urls, title)
    assert (report.done, report.dead_lettered, report.results) == (7, 3, 7)
    assert report.exit_code is ExitCode.DEAD_LETTERS
    assert report.balanced
    assert report.pending == 0
    letters = {letter.url: letter for letter in report.dead_letters}
    missing = letters[f"{healthy_site.url}/missing/0"]
    assert (missing.error_type, missing.attempts, missing.message) == ("HttpStatusError", 1, "HTTP status 404")
    refused = letters["http://127.0.0.1:9/"]
    assert refused.attempts >= 1
    assert "ERR_" in refused.message


def test_results_arrive_while_the_job_runs_and_once_each(system, healthy_site):
    """The iterator yields every pushed value once, also on an event loop, and ends with the job."""

    async def main():
        handle = await system.submit("stream", match_urls(healthy_site, 12), title)
        values = [value["url"] async for value in handle.results()]
        report = await handle.report()
        return values, report

    values, report = asyncio.run(main())
    assert sorted(values) == sorted(match_urls(healthy_site, 12))
    assert report.exit_code is ExitCode.DONE


def test_pages_found_on_the_way_are_scraped_once(system, healthy_site):
    """The league's own scraper starts at the index, follows rounds and matches, and gets every record right."""
    league = League(seed=3, matches=60, faults={})
    handle = system.open_job("league", scrape)
    handle.add([index_request(healthy_site.url)])
    handle.close_input()
    records = {value["id"]: value for value in handle.iter_results() if isinstance(value, dict) and "id" in value}
    report = handle.wait()
    assert report.exit_code is ExitCode.DONE
    assert records == league.records()


def test_a_known_job_is_resumed_and_nothing_is_scraped_again(storage, healthy_site):
    """The second run of a finished job does no work; purge makes it do it again."""
    seen = []

    async def handler(context):
        seen.append(context.request.url)
        return {"url": context.request.url}

    for purge, expected in ((False, 5), (False, 5), (True, 10)):
        with ActorSystem(storage_path=storage, key=KEY) as system:
            report = system.run_blocking("again", match_urls(healthy_site, 5), handler, purge=purge)
        assert (report.done, report.results) == (5, 5)
        assert len(seen) == expected


def test_requests_are_deduplicated_by_unique_key(system, healthy_site):
    """The same page given twice, or with another fragment, is one item; a unique key of its own makes it two."""
    url = match_urls(healthy_site, 1)[0]

    async def handler(context):
        return {"key": context.request.unique_key}

    report = system.run_blocking("dedup", [url, url, f"{url}#top", Request(url, unique_key="other")], handler)
    assert (report.enqueued, report.done) == (2, 2)


def test_what_a_failing_handler_pushed_and_found_does_not_count(system, healthy_site):
    """Results and new requests are committed only if the handler returns."""
    good, bad = match_urls(healthy_site, 2)

    async def handler(context):
        await context.push_data({"url": context.request.url})
        if context.request.url == bad:
            await context.add_requests([f"{healthy_site.url}/matches/3"])
            raise ValueError("after pushing")

    handle = system.open_job("atomic", handler)
    handle.add([good, bad])
    handle.close_input()
    assert [value["url"] for value in handle.iter_results()] == [good]
    assert handle.wait().enqueued == 2


def test_request_data_comes_back_in_the_handler(system, healthy_site):
    """Label, user data and attempt reach the handler; the attempt counts up over retries."""
    tries = []

    async def handler(context):
        tries.append((context.request.label, dict(context.request.user_data), context.attempt))
        if context.attempt == 1:
            raise ConnectionResetError("once")
        return {"ok": True}

    report = system.run_blocking("data", [Request(match_urls(healthy_site, 1)[0], "match", {"n": 1})], handler)
    assert tries == [("match", {"n": 1}, 1), ("match", {"n": 1}, 2)]
    assert (report.done, report.retries) == (1, 1)


def test_two_jobs_share_a_system(system, healthy_site):
    """Several jobs run at once in one tree, each with its own ledger."""

    async def main():
        jobs = [await system.submit(f"job {n}", match_urls(healthy_site, 4), title) for n in range(2)]
        return await asyncio.gather(*(job.report() for job in jobs))

    reports = asyncio.run(main())
    assert [(report.job_id, report.done) for report in reports] == [("job 0", 4), ("job 1", 4)]


def test_a_job_that_is_open_elsewhere_is_refused(system, storage, healthy_site):
    """A second system on the same storage gets CheckpointLocked, and the first goes on."""
    handle = system.open_job("mine", title)
    with ActorSystem(storage_path=storage, key=KEY) as other, pytest.raises(CheckpointLocked, match="mine"):
        other.open_job("mine", title)
    handle.add(match_urls(healthy_site, 2))
    handle.close_input()
    assert handle.wait().done == 2


def test_a_stopped_job_reports_what_is_pending_and_goes_on_later(storage, healthy_site):
    """Draining lets the pages in hand finish; the rest is pending, and the next run does exactly the rest."""
    urls = match_urls(healthy_site, 30)
    with ActorSystem(storage_path=storage, key=KEY, max_concurrency=2) as system:
        handle = system.open_job("half", title)
        handle.add(urls)
        handle.close_input()
        wait_until(lambda: handle.progress().done >= 5)
        first = handle.stop("enough for today")
    assert first.exit_code is ExitCode.INTERRUPTED
    assert first.verdict.reason == "enough for today"
    assert first.balanced
    assert first.pending > 0
    with ActorSystem(storage_path=storage, key=KEY) as system:
        second = system.run_blocking("half", urls, title)
    assert (second.resumed, second.done, second.pending) == (first.done, 30, 0)
    assert second.results == 30


def test_a_system_that_is_left_in_mid_run_stops_in_order(storage, healthy_site):
    """Leaving the with block ends the tree; what was done by then is in the journal."""
    with ActorSystem(storage_path=storage, key=KEY) as system:
        handle = system.open_job("left", title)
        handle.add(match_urls(healthy_site, 40))
        handle.close_input()
        wait_until(lambda: handle.progress().done >= 3)
    report = handle.wait(timeout=0.1)
    assert report.exit_code is ExitCode.INTERRUPTED
    assert report.done >= 3
    assert report.balanced


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"request_handler_timeout": -1}, "request_handler_timeout"),
        ({"colour": "red"}, "colour"),
        ({"retry": "often"}, "retry"),
        ({"storage_path": None}, "SystemConfig.storage_path must be a path, got None"),
        ({"key": 5}, "SystemConfig.key must be 32 bytes, their base64 or None, got a int$"),
        ({"config": "fast"}, "config must be a SystemConfig, got 'fast'"),
        ({"resilience": {"retry": {}}}, "resilience must be a ResilienceConfiguration or None, got a dict"),
    ],
)
def test_a_bad_setting_is_named(storage, settings, message):
    """The error names field and value."""
    with pytest.raises(ConfigurationError, match=message):
        ActorSystem(**{"storage_path": storage, "key": KEY, **settings})


def test_user_data_that_cannot_be_kept_is_refused(system, healthy_site):
    """User data is recorded with the item, so it must be plain values; the error names the path."""
    handle = system.open_job("data", title)
    with pytest.raises(CheckpointNotSerializable, match="lock"):
        handle.add([Request(match_urls(healthy_site, 1)[0], user_data={"lock": object()})])
    assert handle.stop().enqueued == 0


def test_a_broken_share_of_the_pages_does_not_abort_a_healthy_site(storage):
    """20 % of the pages fail for good: the job completes, and they are its dead letters."""
    league = League(seed=5, matches=50, faults={Fault.BROKEN_404: 0.1, Fault.BROKEN_500: 0.1})
    with LeagueSite(league) as site, ActorSystem(storage_path=storage, key=KEY, **QUICK) as system:
        report = system.run_blocking("healthy", match_urls(site, 50), title)
    assert report.exit_code is ExitCode.DEAD_LETTERS
    assert report.dead_lettered == len(league.broken) == 10
    assert report.done == 40


def test_a_site_where_everything_fails_is_halted_with_a_verdict(storage):
    """The judge halts the tree; the report names the rule and the evidence, and every outcome so far is recorded."""
    league = League(seed=5, matches=200, faults={Fault.BROKEN_500: 1.0})
    with LeagueSite(league) as site, ActorSystem(storage_path=storage, key=KEY, **QUICK) as system:
        report = system.run_blocking("broken", match_urls(site, 200), title)
        state, _ = system.store.read("broken")
    assert report.exit_code is ExitCode.ABORTED
    assert report.verdict.outcome == "aborted"
    assert report.verdict.rule == "infra_evidence"
    assert report.verdict.evidence["score"] >= report.verdict.evidence["limit"]
    assert "fail" in report.verdict.reason
    assert report.pending > 100, "it should not have burnt through the items"
    assert report.balanced
    assert state["runs"][-1]["outcome"] == "aborted"
    assert len(state["outcomes"]) == report.dead_lettered


async def misconfigured(context):
    await context.page.goto("chrome://network-error/-131")  # ERR_MANDATORY_PROXY_CONFIGURATION_FAILED


@pytest.mark.parametrize("abort", [AbortPolicy(), AbortPolicy(evidence=None, crashes=None)], ids=["judged", "off"])
def test_a_misconfigured_job_is_halted_by_its_first_failure(storage, abort):
    """A proxy that cannot work fails every page: the rest is not burnt, unless all abort rules are off."""
    urls = [f"http://127.0.0.1:9/{n}" for n in range(30)]
    with ActorSystem(storage_path=storage, key=KEY, **QUICK | {"abort": abort, "max_concurrency": 2}) as system:
        report = system.run_blocking("misconfigured", urls, misconfigured)
    if abort.evidence is None:
        assert (report.verdict.outcome, report.dead_lettered) == ("completed", 30)
        return
    assert (report.verdict.outcome, report.verdict.rule) == ("aborted", "proxy_configuration")
    assert report.exit_code is ExitCode.ABORTED
    assert "ERR_MANDATORY_PROXY" in report.verdict.reason
    assert report.pending > 20
    assert report.balanced


def test_cancelling_a_job_that_is_being_opened_leaves_nothing_of_it(system, healthy_site):
    """What the opening thread brought up is stopped again, and the job can be run anew."""

    async def main():
        running = asyncio.ensure_future(system.run("cancelled", match_urls(healthy_site, 3), title))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return await system.run("cancelled", match_urls(healthy_site, 3), title)

    assert asyncio.run(main()).done == 3


def test_a_complete_job_starts_browsers_only_for_new_items(system, healthy_site):
    """Its tree comes up without drivers; the first new item, from whichever thread, brings them up, and once."""
    urls = match_urls(healthy_site, 4)
    assert system.run_blocking("more", urls[:2], title).done == 2
    handle = system.open_job("more", title)
    assert [actors(system, role) for role in ("driver", "browser", "scrape")] == [[], [], []]
    assert len(actors(system, "frontier")) == 1
    assert handle.add(urls[:2]) == 0
    assert actors(system, "driver") == []
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(lambda url: handle.add([url]), urls[2:])) == 2
    assert len(actors(system, "driver")) == 1
    handle.close_input()
    report = handle.wait()
    assert (report.done, report.resumed, report.exit_code) == (4, 2, ExitCode.DONE)


def test_a_complete_job_that_is_opened_and_closed_ends_at_once(system, healthy_site):
    """Nothing was started for it."""
    assert system.run_blocking("nothing", match_urls(healthy_site, 1), title).done == 1
    starts = []
    forget = system.runtime.subscribe(lambda event: starts.append(event.path), ("started",))
    report = asyncio.run(system.run("nothing", [], title))
    forget()
    assert (report.verdict.outcome, report.done, report.restarts) == ("completed", 1, 0)
    assert not [path for path in starts if "drivers" in path]
    assert [path for path in starts if path.endswith("/frontier")]
